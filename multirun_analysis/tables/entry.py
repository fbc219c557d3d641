"""Entry: what a table says of one cell, and the line below a table that says what its numbers are."""

from enum import StrEnum
from typing import Any

import pandas as pd

from multirun_analysis.cell.at_epoch import chosen_by
from multirun_analysis.cell.cells import FEWEST
from multirun_analysis.cell.grid import remarks
from multirun_analysis.cell.paired import COLUMNS
from multirun_analysis.labels.quantity import words
from multirun_analysis.labels.values import NONE, number
from multirun_analysis.read.sweep import Sweep
from taunode.runs.state import State


class Statistic(StrEnum):
    SD = "sd"  # mean ± sd
    INTERVAL = "interval"  # mean [95 % interval]
    MEDIAN = "median"
    BEST = "best"


IN_WORDS = {
    Statistic.SD: "mean ± sd over n seeds",
    Statistic.INTERVAL: f"mean [95 % interval, Student's t, from {FEWEST} seeds on] over n seeds",
    Statistic.MEDIAN: f"median [95 % interval, bootstrap, from {FEWEST} seeds on] of n seeds",
    Statistic.BEST: "best of n seeds",
}
CALLED = {Statistic.SD: "mean", Statistic.INTERVAL: "mean", Statistic.MEDIAN: "median", Statistic.BEST: "best"}


def entry(cell: "pd.Series[Any] | None", statistic: Statistic = Statistic.SD) -> str:
    """What a table says of a cell: `6.62 ± 0.12 (n=3)`, `diverged 2/3`, `1 planned`, `–` for a hole.

    With differences: `5.84 ± 0.10 (n=3), Δ −0.78 [−0.95, −0.61] (n=3)`.
    """
    if cell is None:
        return NONE
    if not cell["n"]:
        return ", ".join(remarks(cell))
    return ", ".join([f"{_number(cell, statistic)} (n={cell['n']})", *_difference(cell), *remarks(cell)])


def _number(cell: "pd.Series[Any]", statistic: Statistic) -> str:
    def text(name: str) -> str:
        return number(cell[name], cell["value"])

    def interval(low: str, high: str) -> str:
        return f" [{text(low)}, {text(high)}]" if pd.notna(cell[low]) else ""

    match statistic:
        case Statistic.SD:
            return text("mean") + (f" ± {text('sd')}" if cell["n"] > 1 else "")
        case Statistic.INTERVAL:
            return text("mean") + interval("low", "high")
        case Statistic.MEDIAN:
            return text("median") + interval("median_low", "median_high")
        case Statistic.BEST:
            return text("best")


def _difference(cell: "pd.Series[Any]") -> list[str]:
    if pd.isna(cell.get("difference")):
        return []
    mean, low, high = (signed(cell[name], cell["value"]) for name in COLUMNS[1::2] + COLUMNS[4:])
    interval = f" [{low}, {high}]" if pd.notna(cell["difference_low"]) else ""
    how = f"n={int(cell['pairs'])}" if cell["pairs"] else "Welch"
    return [f"Δ {mean}{interval} ({how})"]


def signed(value: float, name: str) -> str:
    text = number(abs(value), name)
    return ("" if float(text) == 0 else "−" if value < 0 else "+") + text


def note(sweep: Sweep, value: str, statistic: Statistic = Statistic.SD, baseline: str | None = None) -> str:
    """The line below a table: where it is from, what its numbers are, and what is not in them.

    Args:
        baseline: the column that differences are to.
    """
    parts = [IN_WORDS[statistic]]
    if gone := int((sweep.runs["state"] == State.DIVERGED).sum()):
        parts.append(f"{gone} of {len(sweep.runs)} runs diverged, not in the {CALLED[statistic]}")
    if "tuned" in sweep.runs.attrs:
        parts.append(sweep.runs.attrs["tuned"])
    if value.startswith("best_"):
        parts.append(chosen_by(sweep))
    if baseline is not None:
        parts.append(
            f"Δ: to {baseline}, seed by seed where most seeds are common, else Welch's, with its 95 % interval"
        )
    unit = ", in percent" if "error" in words(value) else ""
    return f"{sweep.path}: {value}{unit}; {'; '.join(parts)}"
