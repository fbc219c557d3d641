"""Grid: cells laid out for a figure: along an axis, by lines (or bars) and by panels, one cell a position."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from multirun_analysis.cell.layout import Pivot, Place, pivot, places_of
from multirun_analysis.labels.values import NONE


@dataclass(frozen=True)
class Grid:
    """Cells by position.

    Attributes:
        along, panels, lines: the labels that occur, in the order of their values, one for each key.
        along_keys, panel_keys, line_keys: what they are laid out by.
    """

    pivot: Pivot
    along: tuple[Place, ...]
    panels: tuple[Place, ...]
    lines: tuple[Place, ...]
    along_keys: tuple[str, ...]
    panel_keys: tuple[str, ...]
    line_keys: tuple[str, ...]

    @property
    def cells(self) -> pd.DataFrame:
        return self.pivot.cells

    def at(self, along: Place, panel: Place, line: Place) -> "pd.Series[Any] | None":
        """The cell at a position, or None where the sweep has none."""
        return self.pivot.at(along, (*panel, *line))

    def lines_of(self, panel: Place) -> list[Place]:
        """The lines that a panel has."""
        return [line for line in self.lines if (*panel, *line) in self.pivot.columns]


def grid(cells: pd.DataFrame, along: Sequence[str], panels: Sequence[str], lines: Sequence[str]) -> Grid:
    """Lay out what `cells()` returned; a key that it lacks is `–` everywhere.

    Raises:
        BadInput: two cells fall on one position; the message names the keys in which they differ.
    """
    absent = [key for key in (*along, *panels, *lines) if key not in cells]
    whole = cells.assign(**dict.fromkeys(absent))
    whole.attrs["keys"] = [*cells.attrs["keys"], *(key for key in absent if key != "tau")]
    layout = pivot(whole, along, [*panels, *lines])
    occurring = dict.fromkeys(place[: len(panels)] for place in layout.columns)
    found = (places_of(whole, keys) for keys in (along, panels, lines))
    xs, titles, names = found
    return Grid(
        layout,
        xs,
        tuple(title for title in titles if title in occurring),
        names,
        tuple(along),
        tuple(panels),
        tuple(lines),
    )


def remarks(cell: "pd.Series[Any]") -> list[str]:
    """What there is to say of a cell beside its mean: the runs that are not in it, and at which values it is tuned."""
    said = [f"diverged {cell['diverged']}/{cell['finished']}"] if cell["diverged"] else []
    if without := cell["finished"] - cell["diverged"] - cell["n"]:
        said.append(f"{without} without value")
    return [*said, *(cell[what] for what in ("unfinished", "missing", "tuned") if cell.get(what))]


__all__ = ["NONE", "Grid", "grid", "remarks"]
