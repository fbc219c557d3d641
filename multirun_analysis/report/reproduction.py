"""Reproduction: a record in Markdown of every published number: ours, the verdict, what it cost, how to have it again.

It is made of sweeps, or of archives of them that lie beside it, so that anybody can make it again and look closer.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from itertools import groupby
from pathlib import Path

from multirun_analysis.cell.cells import cells, default_value
from multirun_analysis.cell.layout import default_keys, pivot
from multirun_analysis.labels.values import NONE
from multirun_analysis.papers.line import Line, Verdict
from multirun_analysis.papers.verdicts import verify
from multirun_analysis.read.sweep import UNREADABLE, Sweep
from multirun_analysis.report.origin import in_shell, origin
from multirun_analysis.tables.entry import note
from multirun_analysis.tables.markdown import to_markdown
from taunode.errors import plainly
from taunode.runs.directory import RunDirectory
from taunode.runs.files import read_yaml

HEADINGS = ("networks", "value", "ours", "published", "difference", "verdict", "hours", "command")
Command = tuple[str, str, str]  # as it is typed; of which commit; where its runs are


class Record:
    """Of sweeps that are read together, with every published number."""

    def __init__(self, sweep: Sweep, common: bool = False) -> None:
        """`common`: all cells are declared to have one sd; see `multirun_analysis.papers.verdicts`."""
        self.sweep, self.lines = sweep, verify(sweep.runs, everything=True, common=common)

    def to_markdown(self, made_by: str) -> str:
        """`made_by`: the command that writes it."""
        counts = Counter(line.verdict for line in self.lines)
        said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
        parts = [
            "# Reproduction",
            f"Every published number, and what our runs say of it. Written by `{made_by}`; archives hold the "
            "results of all runs, without weights, and `multirun-analysis` reads them. What none has is `not run`.",
            f"{len(self.lines)} lines: {said}. Errors are in percent, mean ± sd over n seeds; differences have their "
            "95 % interval; the README says what each verdict promises. Hours are what the runs of a line took; "
            f"{self._hours(self._all)} in all, each run counted once.",
            *self._figures(),
            *self._others(),
            *self._how(),
        ]
        return "\n\n".join(parts) + "\n"

    def _figures(self) -> Iterator[str]:
        for figure, lines in groupby(self.lines, lambda line: line.number.figure):
            rows = list(lines)
            yield f"## {figure}"
            yield "; ".join(dict.fromkeys(_text(line.number.source.partition(":")[0]) for line in rows)) + "."
            yield "\n".join(_row(cells) for cells in (HEADINGS, ("---",) * len(HEADINGS), *map(self._cells, rows)))

    def _cells(self, line: Line) -> tuple[str, ...]:
        _, networks, value, ours, published, difference, _, verdict = line.texts()
        names = line.ours.names if line.ours else ()
        texts = (networks, value, ours, published, difference, verdict)
        return (*map(_text, texts), self._hours(names) if names else NONE, self._numbers(names))

    def _numbers(self, names: Sequence[str]) -> str:
        """Which commands runs are from."""
        numbers = sorted({self._commands.index(self._of_run[name]) + 1 for name in names if name in self._of_run})
        return ", ".join(f"[{number}](#commands)" for number in numbers) or NONE

    def _others(self) -> Iterator[str]:
        """The runs that no line is about, a table a sweep."""
        others = ~self.sweep.runs["run"].isin(self._all)
        if not others.any():
            return
        yield "## Other runs"
        yield "They are in the archives, and compare with no published number."
        for path in dict.fromkeys(self.sweep.runs.loc[others, "sweep"]):
            runs = self.sweep.runs[others & (self.sweep.runs["sweep"] == path)]
            names = runs["run"].tolist()
            yield f"`{_text(Path(path).name)}`, command {self._numbers(names)}, {self._hours(names)} hours:"
            found = cells(runs, value := default_value(runs))
            yield to_markdown(pivot(found, *default_keys(found)), note(replace(self.sweep, runs=runs), value)).rstrip()

    @property
    def _all(self) -> Sequence[str]:
        return [name for line in self.lines if line.ours for name in line.ours.names]

    def _hours(self, names: Sequence[str]) -> str:
        chosen = self.sweep.runs[self.sweep.runs["run"].isin(names)]
        return f"{float(chosen['seconds'].sum()) / 3600:.2f}" if "seconds" in chosen else "0.00"

    @cached_property
    def _of_run(self) -> dict[str, Command]:
        """The command that each run is from, where that can be read."""
        found = {}
        for name, path, sweep in self.sweep.runs[["run", "path", "sweep"]].astype("str").itertuples(index=False):
            try:
                run = RunDirectory(path)
                file = run.path / str(run.read_record().command)
                if file.parent.is_symlink():
                    continue
                told = plainly(read_yaml(file))
                commit = str((told.get("code") or {}).get("commit") or "")
                found[name] = (in_shell(told).splitlines()[-1], commit, Path(sweep).name)
            except UNREADABLE:  # of another program, or a run without its sweep
                continue
        return found

    @cached_property
    def _commands(self) -> list[Command]:
        used = [name for name in self._all if name in self._of_run]
        return list(dict.fromkeys(self._of_run[name] for name in [*used, *self._of_run]))

    def _how(self) -> Iterator[str]:
        yield "## Commands"
        if not self._commands:
            yield "None yet."
            return
        for number, (text, commit, where) in enumerate(self._commands, start=1):
            yield f"{number}. `{_text(where)}`" + (f", commit `{_text(commit[:12])}`" if commit else "")
            yield f"       {text}"
        yield "## Machines"
        where_from = origin(self.sweep)
        devices = ", ".join(sorted(where_from.devices))
        versions = ", ".join(f"{name} {' or '.join(sorted(which))}" for name, which in where_from.versions.items())
        days = " to ".join(dict.fromkeys(time[:10] for time in (where_from.first, where_from.last) if time))
        yield f"{_text(devices) or 'Unknown'}; {days}; {_text(versions)}."


def _text(text: str) -> str:
    """Text of a run, which is no markup."""
    return escape(text, quote=False).replace("|", "&#124;").replace("`", "&#96;").replace("*", "\\*")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
