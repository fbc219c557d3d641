"""Views: what each command shows, as objects for a notebook, with the same numbers and a display of their own."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from multirun_analysis.cell import comparison, paired
from multirun_analysis.cell.at_epoch import metric_of, valued
from multirun_analysis.cell.cells import cells, default_value, values
from multirun_analysis.cell.layout import Pivot, default_keys, pivot
from multirun_analysis.cell.ranks import ranks
from multirun_analysis.cell.tuned import best_runs
from multirun_analysis.papers import verdicts
from multirun_analysis.papers.line import HEADINGS, Line, Verdict
from multirun_analysis.papers.ours import belonging, beside
from multirun_analysis.papers.published import Role, published
from multirun_analysis.read.sweep import Sweep, load
from multirun_analysis.tables.columns import to_csv, to_parquet
from multirun_analysis.tables.entry import Statistic, note
from multirun_analysis.tables.html import to_html
from multirun_analysis.tables.latex import to_latex
from multirun_analysis.tables.markdown import to_markdown
from taunode.errors import BadInput

if TYPE_CHECKING:
    from multirun_analysis.figures.picture import Picture


@dataclass(frozen=True)
class TableView:
    """A table of cells. `layout.cells` has every number; `content(format)` is what the command writes.

    Attributes:
        note: where it is from, and what its numbers are.
        choice: which keys it chose, and how to choose others; empty if all were said.
        notes: what is noted of the sweep and its runs.
    """

    layout: Pivot
    note: str
    statistic: Statistic
    choice: str = ""
    notes: tuple[str, ...] = ()

    def content(self, format: str) -> bytes:
        """As `csv`, `markdown`, `latex`, `html` or `parquet`."""
        match format:
            case "csv":
                return to_csv(self.layout.cells).encode()
            case "markdown":
                return to_markdown(self.layout, "\n\n".join([self.note, *self.notes]), self.statistic).encode()
            case "latex":
                return to_latex(self.layout, self.note, self.statistic).encode()
            case "html":
                return to_html(self.layout, self.note, self.statistic).encode()
            case "parquet":
                return to_parquet(self.layout.cells)
            case _:
                raise BadInput(f"format {format!r}; valid: csv, markdown, latex, html, parquet")

    def __str__(self) -> str:
        return self.content("markdown").decode()

    def _repr_html_(self) -> str:
        return self.content("html").decode()


def table(
    sweep: Sweep,
    value: str | None = None,
    at: str | None = None,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    statistic: str = "sd",
    baseline: str | None = None,
) -> TableView:
    """Lay out a sweep's cells.

    Args:
        value: what to average; a column of `sweep.runs`, or with `at` a metric; the final test error, if there is one.
        at: of which epoch: `final`, `best`, or `epoch:N`.
        rows, columns: keys of the configuration, and `tau`, its label; depth × (norm ×) τ where nothing is said.
        statistic: `sd`, `interval` (95 %, Student's t), `median` or `best`.
        baseline: a label of the last column key: differences to it, seed by seed.

    Raises:
        BadInput: a value, key or label that there is not, or two cells at one position.
    """
    value = value or default_value(sweep.runs)
    runs, value = _valued(sweep, value, at)
    found = cells(runs, value)
    by_rows, by_columns = default_keys(found, rows, columns)
    layout = pivot(found, by_rows, by_columns)
    if baseline is not None:
        layout = paired.with_differences(layout, runs, baseline)
    shown = Statistic(statistic)
    below = note(sweep, value, shown, baseline)
    if by_columns and (best := ranks(found, by_columns[-1], [*by_rows, *by_columns[:-1]])) is not None:
        below += f"; {best}"
    choice = "" if rows is not None and columns is not None else _choice(by_rows, by_columns)
    return TableView(layout, below, shown, choice, tuple(sweep.notes))


def tuned(sweep: Sweep, keys: Sequence[str], value: str | None = None, at: str | None = None) -> Sweep:
    """Of the cells that differ in nothing but some keys the best one: each method at its best learning rate.

    Args:
        keys: what was tuned, such as `schedule.lr`.
        value, at: what the best has least of, as in `table`. Where all runs have a validation split, of that.

    Returns:
        A sweep as `load` gives, for any view; its tables and figures say how the cells were chosen.

    Raises:
        BadInput: a value or key that there is not; a value that has no better and worse.
    """
    runs, value = _valued(sweep, value or default_value(sweep.runs), at)
    return replace(sweep, runs=best_runs(runs, keys, value))


def _valued(sweep: Sweep, value: str, at: str | None = None) -> tuple[pd.DataFrame, str]:
    """The runs with a column for a value, and its name."""
    known = at is None and (value in values(sweep.runs) or metric_of(value) not in sweep.epochs)
    return (sweep.runs, value) if known else valued(sweep, value, at)


def _choice(rows: Sequence[str], columns: Sequence[str]) -> str:
    said = (", ".join(keys) or "nothing" for keys in (rows, columns))
    return "rows {}; columns {}: --rows and --columns choose others".format(*said)


def figure(
    sweep: Sweep,
    name: str | None = None,
    value: str | None = None,
    paper: bool = False,
    along: str | None = None,
    lines: Sequence[str] | None = None,
    panels: Sequence[str] | None = None,
    fit: bool = False,
) -> "Picture":
    """Draw a figure.

    Args:
        name: one of `figures.registry.FIGURES`; the one that the sweep asks for where nothing is said.
        paper: show the published numbers beside ours, those of which we have comparable runs.
        along, lines, panels: keys for the axis, the lines and the panels; where nothing is said the figure chooses.
        fit: with a + b·x^c through each line, where the axis is a number.

    Raises:
        BadInput: there is no such figure, or nothing that it could show.
    """
    from multirun_analysis.figures import registry
    from multirun_analysis.figures.picture import Request  # matplotlib takes longer than most tables

    numbers = belonging(sweep.runs) if paper else []
    if paper and not numbers:
        raise BadInput(f"{sweep.path}: none of its networks has a published number")
    shown, left_out = beside([number for number in numbers if number.role is Role.PUBLISHED], sweep.runs)
    by_lines, by_panels = (None if chosen is None else tuple(chosen) for chosen in (lines, panels))
    request = Request(sweep, value or default_value(sweep.runs), tuple(shown), along, by_lines, by_panels, fit)
    drawn = registry.draw(name or registry.choose(sweep), request)
    return (
        replace(drawn, note=f"{drawn.note}; published numbers not drawn: {'; '.join(left_out)}") if left_out else drawn
    )


@dataclass(frozen=True)
class Verdicts:
    """A line a published number and cell of ours; `multirun_analysis.papers.verdicts` says what each verdict means."""

    lines: list[Line]

    @property
    def differs(self) -> bool:
        return any(line.verdict is Verdict.DIFFERS for line in self.lines)

    @property
    def summary(self) -> str:
        """`2 reproduced, 10 not run`, and how many lines were judged together."""
        counts = Counter(line.verdict for line in self.lines)
        said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
        together = sum(not math.isnan(line.p) for line in self.lines)
        return said + (f"; {together} lines judged together (Holm, 5 % a command)" if together > 1 else "")

    @property
    def with_runs(self) -> list[Line]:
        """The lines of which there are comparable runs."""
        return [line for line in self.lines if line.ours is not None]

    @property
    def without_runs(self) -> list[str]:
        """What there is to say of the others, a line for all of an experiment that have one reason."""
        counts = Counter(
            (line.verdict, line.number.experiment, line.reason)
            for line in self.lines
            if line.ours is None and line.verdict is not Verdict.REFERENCE
        )
        return [
            f"{verdict}: {count} line{'s' * (count > 1)} of {experiment}{f': {reason}' if reason else ''}"
            for (verdict, experiment, reason), count in counts.items()
        ]

    @property
    def table(self) -> pd.DataFrame:
        """The lines as texts."""
        return pd.DataFrame([line.texts() for line in self.lines], columns=list(HEADINGS))

    def __str__(self) -> str:
        return f"{self.table.to_string(index=False)}\n{self.summary}"

    def _repr_html_(self) -> str:
        return f"{self.table.to_html(index=False)}<p>{self.summary}</p>"


def verify(sweep: Sweep, everything: bool = False, common: bool = False) -> Verdicts:
    """Compare a sweep with every published number.

    Args:
        everything: also with those of experiments of which it has no run.
        common: declare, before there are results, that all cells have one sd.

    Raises:
        BadInput: none of its networks has a published number.
    """
    lines = verdicts.verify(sweep.runs, everything, common)
    if not lines:
        experiments = ", ".join(dict.fromkeys(number.experiment for number in published()))
        raise BadInput(
            f"{sweep.path}: none of its networks has a published number; experiments that have: {experiments}"
        )
    return Verdicts(lines)


def compare(
    first: Path | str,
    second: Path | str,
    value: str | None = None,
    where: str | None = None,
    ignore: Sequence[str] = (),
) -> comparison.Comparison:
    """Compare two sweep directories cell by cell; see `multirun_analysis.cell.comparison`."""
    return comparison.compare(load(first, second, where=where, once=False), value, ignore)
