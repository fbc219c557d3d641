"""What several commands of `multirun-analysis` are told on the command line: sweeps, values, conditions, figures."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from multirun_analysis.figures.registry import FIGURES


class Shown(StrEnum):
    """`multirun_analysis.tables.entry.Statistic`, which costs an import of pandas."""

    SD = "sd"
    INTERVAL = "interval"
    MEDIAN = "median"
    BEST = "best"


SweepArgument = Annotated[
    Path, typer.Argument(help="A sweep directory, the directory of one run, or an archive.", metavar="SWEEP")
]
ValueOption = Annotated[
    str | None,
    typer.Option(
        help="What to average: best_test_error, seconds, …  [default: final_test_error, else the first final result]",
        metavar="COLUMN",
    ),
]
AlsoOption = Annotated[
    list[Path] | None,
    typer.Option("--also", help="Another sweep, read together with it; as many as you like.", metavar="SWEEP"),
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        help="Only these runs, for example 'arch.depth >= 56 and arch.norm == \"batch\"'.", metavar="CONDITION"
    ),
]
TunedOption = Annotated[
    str | None,
    typer.Option(
        help="Of cells that differ in these keys alone only the best, for example schedule.lr.", metavar="KEYS"
    ),
]


def _figures(incomplete: str) -> list[str]:
    return [name for name in FIGURES if name.startswith(incomplete)]


FigureArgument = Annotated[
    str | None,
    typer.Argument(
        help="; ".join(f"{name}: {entry.says}" for name, entry in FIGURES.items())
        + ". Where nothing is said, the one that the sweep asks for.",
        autocompletion=_figures,
    ),
]
