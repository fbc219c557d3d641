"""The command `multirun-analysis`: `table` and `figure` of a sweep directory.

Exit codes: 0 done, 2 bad input (one line on stderr, nothing written), 130 Ctrl-C. Pandas and matplotlib are
imported when a command runs, so that `--help` and completion answer at once.
"""

import sys
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from taunode.errors import BadInput, run_command

if TYPE_CHECKING:
    import pandas as pd

NAME = "multirun-analysis"


class Format(StrEnum):
    TEXT = "text"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


SUFFIXES = {".csv": Format.CSV, ".md": Format.MARKDOWN, ".tex": Format.LATEX}

SweepArgument = Annotated[Path, typer.Argument(help="A sweep directory, or the directory of one run.", metavar="SWEEP")]
ValueOption = Annotated[
    str, typer.Option(help="What to average: final_test_error, best_test_error, seconds, …", metavar="COLUMN")
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        help="Only these runs, for example 'arch.depth >= 56 and arch.norm == \"batch\"'.", metavar="CONDITION"
    ),
]


def table(
    sweep: SweepArgument,
    value: ValueOption = "final_test_error",
    where: WhereOption = None,
    format: Annotated[Format | None, typer.Option(help="How to write it; text when nothing is said.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write a file instead: .csv, .md or .tex.", metavar="FILE", dir_okay=False)
    ] = None,
) -> None:
    """Depth × τ (× norm): mean ± sd over seeds, n, and how many diverged."""
    if output is not None:
        format = _format_of(output, format)
    cells = _cells(sweep, value, where)

    from multirun_analysis import tables
    from multirun_analysis.grid import grid

    layout, below = grid(cells), tables.note(value, str(sweep))
    match format:
        case Format.CSV:
            text = tables.to_csv(cells)
        case Format.MARKDOWN:
            text = tables.to_markdown(layout, below)
        case Format.LATEX:
            text = tables.to_latex(layout, below)
        case _:
            from rich.console import Console

            # A pipe has no width that lines would have to be broken at.
            console = Console(width=None if sys.stdout.isatty() else 10_000, highlight=False, markup=False)
            console.print(tables.to_rich(layout))
            console.print(below)
            return
    if output is None:
        sys.stdout.write(text)
    else:
        _write({output: text.encode()})


def figure(
    sweep: SweepArgument,
    value: ValueOption = "final_test_error",
    where: WhereOption = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Where, without suffix.  [default: SWEEP/figures/error-depth]", metavar="STEM"),
    ] = None,
) -> None:
    """Error against depth, a bar a τ, error bars over seeds: PNG, PDF, and the CSV of what they show."""
    stem = sweep / "figures" / "error-depth" if output is None else output
    if stem.suffix in (".png", ".pdf", ".csv"):
        stem = stem.with_suffix("")
    cells = _cells(sweep, value, where)

    from multirun_analysis import figures, tables
    from multirun_analysis.grid import grid

    drawn = figures.error_against_depth(grid(cells))
    files = {suffix: figures.render(drawn, suffix) for suffix in ("png", "pdf")}
    files["csv"] = tables.to_csv(cells).encode()
    _write({stem.with_name(f"{stem.name}.{suffix}"): content for suffix, content in files.items()})
    print(tables.note(value, str(sweep)))


def _cells(sweep: Path, value: str, where: str | None) -> "pd.DataFrame":
    """The cells of a sweep; says on stderr which runs could not be read."""
    from multirun_analysis.cell import cells
    from multirun_analysis.collect import load

    loaded = load(sweep, where)
    for run, reason in loaded.broken.itertuples(index=False):
        print(f"{NAME}: left out run {run}: {reason}", file=sys.stderr)
    if loaded.runs.empty:
        raise BadInput(f"{sweep} has no run " + ("that can be read" if where is None else f"with {where}"))
    return cells(loaded.runs, value)


def _format_of(output: Path, asked: Format | None) -> Format:
    if output.suffix not in SUFFIXES:
        raise BadInput(f"--output {output}: the suffix says the format and is one of {', '.join(SUFFIXES)}")
    told = SUFFIXES[output.suffix]
    if asked not in (None, told):
        raise BadInput(f"--output {output} is {told}, but --format says {asked}")
    return told


def _write(files: Mapping[Path, bytes]) -> None:
    """Write the files and print their paths."""
    from taunode.runs.directory import write_aside

    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_aside(path, partial(_put, content))
        except OSError as error:
            raise BadInput(f"cannot write {path}: {error.strerror}") from None
        print(path)


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def main() -> None:
    """The entry point."""
    app = typer.Typer(help="Tables and figures from a sweep directory.", pretty_exceptions_enable=False)
    app.command()(table)
    app.command()(figure)
    run_command(app, NAME)
