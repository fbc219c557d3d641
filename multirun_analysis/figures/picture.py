"""Picture: what a figure is asked for, and what comes back: the drawing, the table that it shows, its caption."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd
from matplotlib.figure import Figure

from multirun_analysis.cell.cells import cells, number_of
from multirun_analysis.cell.layout import check_keys, is_number
from multirun_analysis.figures.style import render
from multirun_analysis.papers.published import Number
from multirun_analysis.read.sweep import Sweep
from multirun_analysis.tables.columns import as_csv
from taunode.errors import BadInput, nearest


@dataclass(frozen=True)
class Request:
    """What is to be drawn.

    Attributes:
        value: a column of the sweep's runs.
        published: numbers to be shown beside ours, each with the cell that it is compared with.
        along: the key on the axis, `lines` and `panels` those of the lines and panels; where nothing is said, each
            figure chooses.
        fit: with a curve through the points.
        narrow: for a column or a phone: panels one below the other.
    """

    sweep: Sweep
    value: str = "final_test_error"
    published: tuple[tuple[Number, int], ...] = ()
    along: str | None = None
    lines: tuple[str, ...] | None = None
    panels: tuple[str, ...] | None = None
    fit: bool = False
    narrow: bool = False

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The cells of the sweep, in the order of their values."""
        return cells(self.sweep.runs, self.value)

    def column(self, key: str) -> "pd.Series[float]":
        """The value of a column of the runs in each cell: a key of the configuration, or a number that follows from it.

        `tau` is τ's number, where there is a single one.

        Raises:
            BadInput: there is no such column, or it is not one value a cell.
        """
        found, runs = self.cells, self.sweep.runs
        key = "tau_value" if key == "tau" else key
        if key in found.attrs["keys"]:
            return found[key]
        facts = [name for name in map(str, runs) if is_number(runs[name]) and not name.startswith(("final_", "best_"))]
        if key not in runs or not pd.api.types.is_numeric_dtype(runs[key]):
            valid = [*facts, *found.attrs["keys"]]
            raise BadInput(f"{key!r} is no key and no number of these runs; nearest: {nearest(key, valid)}")
        by_cell = runs[key].groupby(number_of(runs))
        if (by_cell.nunique() > 1).any():
            raise BadInput(f"{key!r} differs between the seeds of a cell, so that it cannot be an axis")
        return found["cell"].map(by_cell.first())

    def narrowed(self) -> "Request":
        """The same for a column, or a phone."""
        return replace(self, narrow=True)

    def checked(self) -> "Request":
        """
        Raises:
            BadInput: a key for lines or panels that there is not.
        """
        check_keys(self.cells, [*(self.lines or ()), *(self.panels or ())])
        return self


@dataclass(frozen=True)
class Picture:
    """A figure, the table of what it shows, and what its numbers are."""

    figure: Figure
    table: pd.DataFrame
    note: str

    def content(self, suffix: str) -> bytes:
        """The figure as `png`, `pdf` or `svg`, or its table as `csv`."""
        return as_csv(self.table).encode() if suffix == "csv" else render(self.figure, suffix)

    def _repr_png_(self) -> bytes:
        return self.content("png")


def names(keys: Sequence[str]) -> str:
    return ", ".join(keys) or "nothing"
