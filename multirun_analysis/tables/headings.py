"""Headings: what stands above the columns of a table, a line a key, and how many columns share it."""

from dataclasses import dataclass
from itertools import groupby

from multirun_analysis.cell.layout import Pivot, Place
from multirun_analysis.labels.values import short


@dataclass(frozen=True)
class Heading:
    """A label of a key above `width` columns."""

    key: str
    label: str
    width: int = 1

    def __str__(self) -> str:
        return f"{short(self.key)}{' = ' if self.key == 'tau' else ' '}{self.label}"


def lines(layout: Pivot) -> list[list[Heading]]:
    """From the top on. A key with one value is not worth a line, unless it is the last: that has a heading a column."""
    found = []
    for level, key in enumerate(layout.column_keys):
        if level == len(layout.column_keys) - 1:
            found.append([Heading(key, place[-1]) for place in layout.columns])
        elif len({place[level] for place in layout.columns}) > 1:
            prefixes = groupby(place[: level + 1] for place in layout.columns)
            found.append([Heading(key, prefix[-1], len(list(same))) for prefix, same in prefixes])
    return found


def heading_of(layout: Pivot, place: Place, between: str = ", ") -> str:
    """The whole heading of one column; the value's name where there is no key."""
    number, parts = layout.columns.index(place), []
    for line in lines(layout):
        covered = [heading for heading in line for _ in range(heading.width)]
        parts.append(str(covered[number]))
    return between.join(parts) or str(layout.cells["value"].iloc[0])
