"""Results: the cells of a sweep in rows and columns, each with what a reader of the report sees of it."""

import math
import re
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from multirun_analysis.cell.grid import remarks
from multirun_analysis.cell.layout import default_keys, pivot
from multirun_analysis.labels.quantity import is_ranked, rises
from multirun_analysis.labels.values import number, short, title
from multirun_analysis.tables.headings import lines
from taunode.runs.state import BROKEN, State

BAD = re.compile("|".join([State.DIVERGED, *sorted(BROKEN)]))


@dataclass(frozen=True)
class Entry:
    """What a table says of one cell.

    Attributes:
        remarks: the runs that are not in the mean, and whether that is bad.
        best: its mean is the best of its row, or of a list.
    """

    mean: float = math.nan
    shown: str = ""
    spread: str = ""
    interval: str = ""
    n: int = 0
    remarks: tuple[tuple[str, bool], ...] = ()
    best: bool = False


@dataclass(frozen=True)
class Results:
    """A table of cells.

    Attributes:
        labels: headings of the columns that say which cells a row is of.
        headings: lines of (text, columns that it spans), from the top on; the last line has one a column.
        rows: (its labels, its entries); None is a position without a cell.
    """

    labels: tuple[str, ...]
    headings: tuple[tuple[tuple[str, int], ...], ...]
    rows: tuple[tuple[tuple[str, ...], tuple[Entry | None, ...]], ...]


def results(cells: pd.DataFrame) -> Results:
    """Lay out what `cells()` returned."""
    layout = pivot(cells, *default_keys(cells))
    value = str(cells["value"].iloc[0])
    entries = [[_entry(layout.at(row, column)) for column in layout.columns] for row in layout.rows]
    groups = entries if len(layout.columns) > 1 else [[entry for (entry,) in entries]]
    marked = [_marked(group, value) for group in groups]
    rows = marked if len(layout.columns) > 1 else [[entry] for entry in marked[0]]
    headings = tuple(tuple((str(heading), heading.width) for heading in line) for line in lines(layout))
    return Results(
        tuple(map(short, layout.row_keys)),
        headings or (((title(value), 1),),),
        tuple((row, tuple(found)) for row, found in zip(layout.rows, rows, strict=True)),
    )


def _entry(cell: "pd.Series[Any] | None") -> Entry | None:
    if cell is None:
        return None
    said = tuple((text, bool(BAD.search(text))) for text in (*remarks(cell), cell["missing"]) if text)
    if not cell["n"]:
        return Entry(remarks=said)
    mean, sd, low, high = (number(cell[name], cell["value"]) for name in ("mean", "sd", "low", "high"))
    spread = f"± {sd}" if cell["n"] > 1 else ""
    interval = f"[{low}, {high}]" if pd.notna(cell["low"]) else ""
    return Entry(float(cell["mean"]), mean, spread, interval, int(cell["n"]), said)


def _marked(entries: list[Entry | None], value: str) -> list[Entry | None]:
    """With the best mean marked, if there is more than one."""
    means = [entry.mean for entry in entries if entry is not None and math.isfinite(entry.mean)]
    if len(means) < 2 or not is_ranked(value):
        return entries
    best = number((max if rises(value) else min)(means), value)  # two that are shown alike are both the best
    return [entry and replace(entry, best=entry.shown == best) for entry in entries]
