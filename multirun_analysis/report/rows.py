"""Rows: the table of runs, as columns that the page's script sorts and shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from multirun_analysis.labels.quantity import words
from multirun_analysis.labels.values import number, title
from multirun_analysis.report.facets import Facet

OTHERS = ("final_train_loss", "seconds", "attempts", "gflop_per_second", "percent_of_peak")
FIRST = ("final_test_error", "best_test_error", "best_epoch")
MOST = 5  # numbers; the others are on the page of each run
STATIC = 200  # rows that can be read without the script


@dataclass(frozen=True)
class Column:
    """A column of the table of runs.

    Attributes:
        facet: the place among the facets whose values it shows; None of numbers.
        values: the numbers, None where there is none.
        digits: how they are written: so many after the point, or None for four significant ones.
        listed: it is in the table; the others are on the page of each run.
    """

    key: str
    title: str
    facet: int | None = None
    values: tuple[float | None, ...] = ()
    digits: int | None = None
    listed: bool = True

    def for_script(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("key", "title", "facet", "values", "digits", "listed")}

    def text(self, run: int, facets: Sequence[Facet]) -> str:
        if self.facet is not None:
            return facets[self.facet].values[int(facets[self.facet].codes[run])]
        value = self.values[run]
        if value is None:
            return ""
        return number(value, self.key) if self.digits is None else f"{value:.{self.digits}f}"


def columns(runs: pd.DataFrame, facets: Sequence[Facet]) -> list[Column]:
    """The state, the keys that tell the runs apart, and the values that differ between them."""
    order = [len(facets) - 1, *range(len(facets) - 1)]  # the state first
    keys = [Column(facets[place].key, facets[place].name, place) for place in order]
    return [*keys, *(_of_value(runs[name], name, place < MOST) for place, name in enumerate(values(runs)))]


def values(runs: pd.DataFrame) -> list[str]:
    """The columns of results that are worth a column here: those that differ, or all of a sweep of one run."""
    numeric = runs.select_dtypes(["number"], exclude=["bool", "boolean"])
    found = [name for name in map(str, numeric) if name.startswith(("final_", "best_"))]
    order = [*FIRST, *OTHERS]
    known = [name for name in dict.fromkeys([*order, *found]) if name in numeric and numeric[name].notna().any()]
    shown = sorted(known, key=lambda name: order.index(name) if name in order else len(order))
    return [name for name in shown if len(runs) == 1 or name in FIRST or numeric[name].nunique() > 1]


def _of_value(column: "pd.Series[float]", name: str, listed: bool) -> Column:
    numbers = column.astype("float64")
    digits = (
        1 if name in ("seconds", "percent_of_peak") else 0 if name == "attempts" or name.endswith("_epoch") else None
    )
    if digits is None and "error" in words(name):
        digits = 2
    found = tuple(None if pd.isna(value) else float(value) for value in numbers.tolist())
    return Column(name, title(name), None, found, digits, listed)
