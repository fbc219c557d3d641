"""Entry: what a table says of one cell, and the line below a table that says what its numbers are."""

from enum import StrEnum
from typing import Any

import pandas as pd

from multirun_analysis.cell.at_epoch import chosen_by
from multirun_analysis.cell.grid import remarks
from multirun_analysis.cell.layout import NONE
from multirun_analysis.cell.paired import COLUMNS
from multirun_analysis.labels.values import number


class Statistic(StrEnum):
    SD = "sd"  # mean ± sd
    INTERVAL = "interval"  # mean [95 % interval]
    MEDIAN = "median"
    BEST = "best"


IN_WORDS = {
    Statistic.SD: "mean ± sd over n seeds",
    Statistic.INTERVAL: "mean [95 % interval, Student's t] over n seeds",
    Statistic.MEDIAN: "median of n seeds",
    Statistic.BEST: "best of n seeds",
}


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

    match statistic:
        case Statistic.SD:
            return text("mean") + (f" ± {text('sd')}" if cell["n"] > 1 else "")
        case Statistic.INTERVAL:
            return text("mean") + (f" [{text('low')}, {text('high')}]" if cell["n"] > 1 else "")
        case _:
            return text(statistic)


def _difference(cell: "pd.Series[Any]") -> list[str]:
    if not cell.get("pairs", 0):
        return []
    mean, low, high = (signed(cell[name], cell["value"]) for name in COLUMNS[1::2] + COLUMNS[4:])
    interval = f" [{low}, {high}]" if cell["pairs"] > 1 else ""
    return [f"Δ {mean}{interval} (n={int(cell['pairs'])})"]


def signed(value: float, name: str) -> str:
    text = number(abs(value), name)
    return ("" if float(text) == 0 else "−" if value < 0 else "+") + text


def note(
    value: str,
    source: str,
    statistic: Statistic = Statistic.SD,
    runs: pd.DataFrame | None = None,
    baseline: str | None = None,
) -> str:
    """The line below a table: where it is from, and what its numbers are.

    Args:
        runs: those of the table; say what chose a best epoch.
        baseline: the column that differences are to.
    """
    parts = [IN_WORDS[statistic], "diverged runs not in the mean"]
    if value.startswith("best_") and runs is not None:
        parts.append(chosen_by(runs))
    if baseline is not None:
        parts.append(f"Δ: to {baseline}, seed by seed, with its 95 % interval")
    unit = ", in percent" if "_error" in value else ""
    return f"{source}: {value}{unit}; {parts[0]}, {'; '.join(parts[1:])}"
