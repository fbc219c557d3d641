"""Rows: the table of runs, each entry with its text and with what it is sorted by."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from multirun_analysis.labels.values import number, title
from multirun_analysis.report.facets import Facet

OTHERS = ("diverged_epoch", "seconds", "attempts")
FIRST = ("final_test_error", "best_test_error", "best_epoch")
ALWAYS = (*FIRST, "diverged_epoch")


@dataclass(frozen=True)
class Column:
    """A column of the table of runs.

    Attributes:
        entries: (text, number to sort by or "" where there is none) of each run.
        numeric: aligned at the right.
    """

    key: str
    title: str
    entries: tuple[tuple[str, str], ...]
    numeric: bool


def columns(runs: pd.DataFrame, facets: Sequence[Facet]) -> list[Column]:
    """The state, the keys that tell the runs apart, and the values that differ between them."""
    keys, state = facets[:-1], facets[-1]
    return [*map(_of_facet, (state, *keys)), *(_of_value(runs[name], name) for name in values(runs))]


def values(runs: pd.DataFrame) -> list[str]:
    """The columns of results that are worth a column here: those that differ, or all of a sweep of one run."""
    numeric = runs.select_dtypes(["number"], exclude=["bool", "boolean"])
    found = [name for name in map(str, numeric) if name.startswith(("final_", "best_"))]
    found.sort(key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    shown = [name for name in [*found, *OTHERS] if name in numeric and numeric[name].notna().any()]
    return [name for name in shown if len(runs) == 1 or name in ALWAYS or numeric[name].nunique() > 1]


def _of_facet(facet: Facet) -> Column:
    numeric = all(value.replace(".", "", 1).isdigit() for value in facet.values)
    return Column(facet.key, facet.name, tuple((facet.values[code], str(code)) for code in facet.codes), numeric)


def _of_value(column: "pd.Series[float]", name: str) -> Column:
    entries = []
    for value in column.tolist():
        if pd.isna(value):
            entries.append(("", ""))
        else:
            entries.append((_shown(value, name), repr(float(value))))
    return Column(name, title(name), tuple(entries), numeric=True)


def _shown(value: float, name: str) -> str:
    if name == "seconds":
        return f"{value:.1f}"
    return f"{value:.0f}" if name == "attempts" or name.endswith("_epoch") else number(value, name)
