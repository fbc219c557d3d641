"""The command `multirun-analysis`: `table`, `figure`, `verify`, `compare`, `report`, `reproduction`, `serve` of sweeps.

Exit codes: 0 done, 1 a published number differs, 2 bad input (one line on stderr, nothing written), 130 Ctrl-C. Pandas
and matplotlib are imported when a command runs, so that `--help` and completion answer at once.
"""

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multirun_analysis.options import (
    AlsoOption,
    FigureArgument,
    Shown,
    SweepArgument,
    TunedOption,
    ValueOption,
    WhereOption,
)
from multirun_analysis.output import Format, format_of, write
from taunode.errors import BadInput, run_command

if TYPE_CHECKING:
    from rich.console import Console

    from multirun_analysis.read.sweep import Sweep

NAME = "multirun-analysis"
NOTES = 20  # of a sweep and its runs that are shown below a table


def table(
    sweep: SweepArgument,
    value: ValueOption = None,
    at: Annotated[
        str | None, typer.Option(help="Of which epoch: final, best, or epoch:N.", metavar="final|best|epoch:N")
    ] = None,
    rows: Annotated[
        str | None, typer.Option(help="Keys for the rows, with commas between.  [default: depth]", metavar="KEYS")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="Keys for the columns; tau is τ's label.  [default: norm, tau]", metavar="KEYS")
    ] = None,
    statistic: Annotated[
        Shown, typer.Option(help="Beside the mean its sd or 95 % interval; or another number.")
    ] = Shown.SD,
    baseline: Annotated[
        str | None, typer.Option(help="Differences to this column, seed by seed, with 95 % interval.", metavar="LABEL")
    ] = None,
    tuned: TunedOption = None,
    where: WhereOption = None,
    also: AlsoOption = None,
    format: Annotated[Format | None, typer.Option(help="How to write it; text when nothing is said.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write a file: .csv, .md, .tex or .parquet.", metavar="FILE", dir_okay=False)
    ] = None,
) -> None:
    """Any keys against any others, depth × τ by default: mean ± sd over seeds, n, and how many diverged."""
    if output is not None:
        format = format_of(output, format)
    elif format is Format.PARQUET:
        raise BadInput("--format parquet needs --output FILE.parquet")
    loaded = _load(sweep, where, also)

    from multirun_analysis import api
    from multirun_analysis.tables.terminal import to_rich

    if tuned is not None:
        loaded = api.tuned(loaded, _keys(tuned), value, at)
    by_rows, by_columns = (None if keys is None else _keys(keys) for keys in (rows, columns))
    view = api.table(loaded, value, at, by_rows, by_columns, statistic, baseline)
    if format in (None, Format.TEXT):
        console = _console()
        console.print(to_rich(view.layout, view.statistic))
        for line in (view.note, *view.notes[:NOTES], *([view.choice] if view.choice else [])):
            console.print(line)
        if len(view.notes) > NOTES:
            console.print(f"{len(view.notes) - NOTES} more notes: --format markdown")
        return
    content = view.content(format)
    if output is None:
        sys.stdout.write(content.decode())
    else:
        write({output: content})


def _keys(text: str) -> list[str]:
    return [key.strip() for key in text.split(",") if key.strip()]


def figure(
    sweep: SweepArgument,
    name: FigureArgument = None,
    value: ValueOption = None,
    along: Annotated[
        str | None, typer.Option(help="The key on the axis; tau is τ's number.  [default: chosen]", metavar="KEY")
    ] = None,
    lines: Annotated[
        str | None, typer.Option(help="Keys that tell the lines apart.  [default: chosen]", metavar="KEYS")
    ] = None,
    panels: Annotated[
        str | None, typer.Option(help="Keys with a panel for each value.  [default: chosen]", metavar="KEYS")
    ] = None,
    fit: Annotated[bool, typer.Option("--fit", help="a + b·x^c through each line, with 95 % intervals.")] = False,
    tuned: TunedOption = None,
    where: WhereOption = None,
    also: AlsoOption = None,
    paper: Annotated[bool, typer.Option("--paper", help="Show the published numbers beside ours.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Where, without suffix.  [default: SWEEP/figures/NAME]", metavar="STEM")
    ] = None,
) -> None:
    """Draw a figure: PNG, PDF, and the CSV of what they show."""
    loaded = _load(sweep, where, also)

    from multirun_analysis import api
    from multirun_analysis.figures import registry

    if tuned is not None:
        loaded = api.tuned(loaded, _keys(tuned), value)
    name = registry.choose(loaded) if name is None else name
    folder = _beside(sweep, "figures")
    if output is None and folder.is_symlink():
        raise BadInput(f"{folder} is a symbolic link; a sweep's files lie in its own directory (or: --output)")
    stem = folder / name if output is None else output
    if stem.suffix in (".png", ".pdf", ".csv"):
        stem = stem.with_suffix("")
    by_lines, by_panels = (None if keys is None else _keys(keys) for keys in (lines, panels))
    drawn = api.figure(loaded, name, value, paper, along, by_lines, by_panels, fit)
    contents = {suffix: drawn.content(suffix) for suffix in ("png", "pdf", "csv")}
    write({stem.with_name(f"{stem.name}.{suffix}"): content for suffix, content in contents.items()})
    print(drawn.note)


def verify(
    sweep: SweepArgument,
    where: WhereOption = None,
    also: AlsoOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="A line for every number, also of experiments of which the sweep has no run.")
    ] = False,
    common: Annotated[
        bool, typer.Option("--common-sd", help="All cells have one sd: declare it before you have seen results.")
    ] = False,
) -> None:
    """A line a published number: ours, the published, and a verdict. Exit code 1 where one differs."""
    loaded = _load(sweep, where, also)

    from rich.table import Table
    from rich.text import Text

    from multirun_analysis import api
    from multirun_analysis.papers.line import HEADINGS

    found = api.verify(loaded, everything, common)
    shown = found.lines if everything else found.with_runs
    if shown:
        table = Table(*HEADINGS, box=None, pad_edge=False)
        for line in shown:
            table.add_row(*map(Text, line.texts()))
        _console().print(table)
    for text in () if everything else found.without_runs:
        print(text)
    print(found.summary)
    if found.differs:
        raise typer.Exit(1)


def compare(
    first: Annotated[Path, typer.Argument(help="A sweep directory, or an archive.", metavar="FIRST")],
    second: Annotated[Path, typer.Argument(help="Another one.", metavar="SECOND")],
    value: ValueOption = None,
    where: WhereOption = None,
    ignore: Annotated[
        str | None,
        typer.Option(help="Keys in which the two may differ, with commas between: schedule.epochs,…", metavar="KEYS"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the cells as .csv instead.", metavar="FILE.csv", dir_okay=False)
    ] = None,
) -> None:
    """Two sweeps, cell by cell: second − first with its 95 % interval; runs, keys and code that only one has."""
    if output is not None and output.suffix != ".csv":
        raise BadInput(f"--output {output}: a comparison is written as .csv")
    loaded = _load(first, where, [second], once=False)

    from multirun_analysis.cell.comparison import compare as compared
    from multirun_analysis.tables.columns import as_csv
    from multirun_analysis.tables.terminal import of_comparison

    found = compared(loaded, value, _keys(ignore or ""))
    if output is not None:
        write({output: as_csv(found.cells).encode()})
        return
    console = _console()
    for part in of_comparison(found):
        console.print(part)


def report(
    sweep: SweepArgument,
    value: ValueOption = None,
    where: WhereOption = None,
    also: AlsoOption = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The file: SWEEP/report.html when nothing is said.", metavar="FILE.html", dir_okay=False),
    ] = None,
) -> None:
    """One HTML file, to be read offline: verdicts, results, curves, runs, figures, failures, provenance."""
    output = _beside(sweep, "report.html") if output is None else output
    if output.suffix != ".html":
        raise BadInput(f"--output {output}: a report is one .html file")
    loaded = _load(sweep, where, also)

    from multirun_analysis.report.page import render

    write({output: render(loaded, value, where)})


def reproduction(
    sweeps: Annotated[
        list[Path] | None, typer.Argument(help="Sweeps or archives, read together.", metavar="SWEEP…")
    ] = None,
    common: Annotated[
        bool, typer.Option("--common-sd", help="All cells have one sd: declare it before you have seen results.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Write a file.", metavar="FILE.md", dir_okay=False)] = None,
) -> None:
    """A record in Markdown: every published number with ours, verdict, hours and command; what was not run says so.

    Example: multirun-analysis reproduction docs/archives/*.zip --output docs/reproduction.md
    """
    if output is not None and output.suffix != ".md":
        raise BadInput(f"--output {output}: a record is one .md file")
    from multirun_analysis.read.sweep import load
    from multirun_analysis.report.reproduction import Record

    loaded = _load(sweeps[0], None, sweeps[1:]) if sweeps else load()
    words = [NAME, "reproduction", *map(str, sweeps or []), *(["--common-sd"] if common else [])]
    content = Record(loaded, common).to_markdown(shlex.join([*words, *(["--output", str(output)] if output else [])]))
    if output is None:
        sys.stdout.write(content)
    else:
        write({output: content.encode()})


def serve(
    sweeps: Annotated[list[Path], typer.Argument(help="Sweep directories, read together.", metavar="SWEEP…")],
    value: ValueOption = None,
    where: WhereOption = None,
    port: Annotated[int, typer.Option(help="Of 127.0.0.1; 0 is any that is free.", min=0, max=65535)] = 0,
) -> None:
    """The report of sweeps at work, live in a browser of this machine, until Ctrl-C. Writes nothing into them."""
    loaded = _load(sweeps[0], where, sweeps[1:])

    from multirun_analysis.read.sweep import load
    from multirun_analysis.report.live import Live
    from multirun_analysis.report.server import serve as served

    first = [loaded]
    live = Live(lambda: first.pop() if first else load(*sweeps, where=where), value, where)
    try:
        served(live, port, partial(print, flush=True))
    except KeyboardInterrupt:  # as it is meant to end
        return


def _beside(sweep: Path, name: str) -> Path:
    """Where a file about a sweep goes when nothing is said: into its directory; of an archive x.zip to x-NAME."""
    return sweep.with_name(f"{sweep.stem}-{name}") if sweep.is_file() else sweep / name


def _console() -> "Console":
    """A pipe has no width that lines would have to be broken at."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 10_000, highlight=False, markup=False)


def _load(sweep: Path, where: str | None, also: list[Path] | None, once: bool = True) -> "Sweep":
    """A sweep with at least one run; says on stderr which runs could not be read, and whether their code differs."""
    from multirun_analysis.read.sweep import load

    loaded = load(sweep, *(also or ()), where=where, once=once)
    for run, reason in loaded.broken.itertuples(index=False):
        print(f"{NAME}: left out run {run}: {reason}", file=sys.stderr)
    if len(loaded.copies):
        print(f"{NAME}: {len(loaded.copies)} runs are copies of others, and count once", file=sys.stderr)
    if loaded.runs.empty:
        raise BadInput(f"{loaded.path} has no run " + ("that can be read" if where is None else f"with {where}"))
    digests = (
        {digest for said in loaded.runs["code"].dropna() for digest in said.split(", ")}
        if "code" in loaded.runs
        else set()
    )
    if len(digests) > 1:
        print(f"{NAME}: attempts of these runs ran different code: {', '.join(sorted(digests))}", file=sys.stderr)
    return loaded


def main() -> None:
    """The entry point."""
    app = typer.Typer(
        help="Tables, figures, verdicts and reports from a sweep directory.", pretty_exceptions_enable=False
    )
    app.command()(table)
    app.command()(figure)
    app.command()(verify)
    app.command()(compare)
    app.command()(report)
    app.command()(reproduction)
    app.command()(serve)
    run_command(app, NAME)
