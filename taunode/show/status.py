"""How runs stand: a line a run for those who look, counts and a summary for all, and the exit code that follows."""

import csv
import io
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from taunode.cluster.submission import InSlurm
from taunode.errors import plain
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.files import LONGEST, Unreadable, read_bytes, read_tail
from taunode.runs.note import Note
from taunode.runs.record import Record
from taunode.runs.state import BROKEN, RESULTS, Observation, State, may_start

COLOURS = {
    State.QUEUED: "blue",
    State.RUNNING: "cyan",
    State.DONE: "green",
    State.DIVERGED: "magenta",
    State.STALLED: "yellow",
    **dict.fromkeys(BROKEN, "red"),
}
AWAY = frozenset({State.RUNNING, State.STALLED, State.QUEUED})  # with another command, or with Slurm
PART = 2**16  # bytes of a table's beginning and of its end that are read
# From how many columns of the terminal on a column is shown; the name has what is left.
COLUMNS = {"state": 0, "epoch": 0, "test error %": 80, "left": 60, "peak": 100, "attempts": 100, "note": 120}
SHORT = {"test error %": "error %", "attempts": "tries"}  # below 100 columns


@dataclass(frozen=True)
class Status:
    """One run as a watcher sees it; errors in percent and seconds left, null where there are none to tell.

    `state` is null where the run cannot be read, and `note` says why.
    """

    name: str
    state: State | None
    epoch: int = 0
    epochs: int | None = None
    test_error: float | None = None
    attempts: int = 0
    note: str = ""
    seconds_left: float | None = None
    percent_of_peak: float | None = None  # of what the machine can compute
    free: bool = False  # whoever comes may go on with it

    @property
    def objective(self) -> float:
        """What a search minimises: a network that diverged in its first epoch is worse than any other."""
        return math.inf if self.test_error is None else self.test_error

    @property
    def word(self) -> str:
        return "unreadable" if self.state is None else str(self.state)

    @property
    def has_failed(self) -> bool:
        return self.state is None or self.state in BROKEN

    @property
    def share(self) -> float:
        """How much of the run is done, from 0 to 1."""
        if self.state in RESULTS:
            return 1.0
        return min(1.0, self.epoch / self.epochs) if self.epochs else 0.0

    def with_note(self, said: Note) -> "Status":
        """With what its user has noted."""
        return replace(self, note="; ".join(filter(None, (self.note, str(said)))))

    @property
    def row(self) -> dict[str, Text]:
        epochs = f"{self.epoch}/{self.epochs}" if self.epochs else str(self.epoch or "")
        colour = "red" if self.state is None else COLOURS.get(self.state, "")
        return {
            "state": Text(self.word, style=colour),
            "epoch": Text(epochs),
            "test error %": Text("" if self.test_error is None else f"{self.test_error:.2f}"),
            "left": Text("" if self.seconds_left is None else duration(self.seconds_left)),
            "peak": Text("" if self.percent_of_peak is None else f"{self.percent_of_peak:.0f} %"),
            "attempts": Text(str(self.attempts)),
            "note": Text(plain(self.note)),
        }


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.4 h`, `2.5 days`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.1f} days"


def status(run: RunDirectory, slurm: InSlurm | None = None) -> Status:
    """Look at a run: its record, and the tables of a run at work."""
    slurm = slurm or InSlurm()
    try:
        return status_of(run, *slurm.look(run), slurm)
    except Unreadable as error:
        return Status(run.path.name, None, note=str(error))


def status_of(run: RunDirectory, record: Record, seen: Observation, state: State, slurm: InSlurm) -> Status:
    """The status of a run that has been looked at."""
    attempt: Mapping[str, Any] = seen.attempt or {}
    summary = (seen.done or {}).get("summary", {})
    epoch, error = summary.get("epochs", 0), summary.get("final_test_error")
    if seen.done is None and seen.attempts:
        epoch, error = _last_epoch(run, seen.attempts)
    peak = _number(summary.get("percent_of_peak"))
    note, left, epochs = "", None, record.facts.get("epochs_planned")
    if state in (State.RUNNING, State.STALLED):
        owner = attempt["owner"]
        where = f"pid {owner['pid']}" if owner["slurm"] is None else f"job {owner['slurm']['job']}"
        note = f"on {owner['host']}, {where}"
        rows = _last_rows(run.timings(seen.attempts))
        left = _seconds_left(rows, epochs)
        peak = _number(rows[-1].get("percent_of_peak")) if rows else None
    elif state is State.DIVERGED:
        note = f"in epoch {summary.get('diverged_epoch')}"
    elif state is not State.DONE:
        note = str(attempt.get("end", ""))
        if state is State.OUT_OF_MEMORY and (refused := slurm.refused(run.path.name)) is not None:
            note += f"; more was refused: {refused}"
        elif state is State.PLANNED and not seen.attempts and (error_file := slurm.died_early(run.path.name)):
            note = f"its task ended before it began; see {error_file}"
    free = may_start(state, seen.attempt)
    return Status(run.path.name, state, epoch, epochs, error, seen.attempts, note, left, peak, free)


def _last_rows(path: Path) -> list[dict[str, Any]]:
    """The last rows of a table that a run writes, however long it is; none where it cannot be read."""
    try:
        header, newline, _ = read_bytes(path, cut=PART).partition(b"\n")
        body = read_tail(path, PART).partition(b"\n")[2]  # without the header, or a line that is not whole
        return list(csv.DictReader(io.StringIO((header + newline + body).decode())))
    except (Unreadable, ValueError, csv.Error):
        return []


def _number(value: Any) -> float | None:
    """A finite number that somebody wrote, else nothing."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _seconds_left(rows: Sequence[Mapping[str, Any]], epochs: int | None) -> float | None:
    """What the remaining epochs take if they take as long as the ones before did."""
    if not rows or not epochs:
        return None
    try:
        seconds = [float(row["seconds"]) for row in rows]
        left = sum(seconds) / len(seconds) * max(0, epochs - int(rows[-1]["epoch"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return left if math.isfinite(left) else None


def _last_epoch(run: RunDirectory, attempt: int) -> tuple[int, float | None]:
    rows = _last_rows(run.metrics(attempt))
    try:
        error = rows[-1].get("test_error")  # none where nothing is trained
        epoch = int(rows[-1]["epoch"])
        return epoch if epoch.bit_length() <= LONGEST else 0, None if error is None else float(error)
    except (IndexError, KeyError, TypeError, ValueError):
        return 0, None


def counts(states: Iterable[State | None]) -> Text:
    """`18 done, 6 running`, in the order of the states."""
    found = Counter(states)
    parts = [Text(f"{found[state]} {state}", style=COLOURS.get(state, "")) for state in State if found[state]]
    if found[None]:
        parts.append(Text(f"{found[None]} unreadable", style="red"))
    return Text(", ").join(parts)


def table(rows: Sequence[Status], width: int) -> Table:
    """A line a run, whatever the width of the terminal: fewer columns and shorter names where it is narrow."""
    shown = [name for name, least in COLUMNS.items() if width >= least]
    made = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    made.add_column("run", no_wrap=True, overflow="ellipsis", min_width=12)
    for name in shown:
        word = SHORT.get(name, name) if width < 100 else name
        is_text = name in ("state", "note")
        made.add_column(word, justify="left" if is_text else "right", no_wrap=True, overflow="ellipsis")
    names = short_names([row.name for row in rows])
    for name, row in zip(names, rows, strict=True):
        made.add_row(Text(plain(name)), *(row.row[column] for column in shown))
    return made


def short_names(names: Sequence[str]) -> list[str]:
    """Names without the beginning of the signature, where they differ without it."""
    short = [name.rpartition("-")[0] or name for name in names]
    found = Counter(short)
    return [one if found[one] == 1 else name for one, name in zip(short, names, strict=True)]


def titled(title: str, made: Table) -> Group:
    """A table below a line that may be longer than the table is wide."""
    return Group(Text(plain(title), style="italic"), made)


def summary(summaries: Sequence[Mapping[str, Any]]) -> str:
    """What came out of the runs that have a result; empty where none has."""
    if not summaries:
        return ""
    ended = [one for one in summaries if "diverged_epoch" not in one]
    errors = sorted(one["final_test_error"] for one in ended if isinstance(one.get("final_test_error"), int | float))
    parts = []
    if errors:
        middle = statistics.median(errors)
        parts.append(f"test error {errors[0]:.2f} to {errors[-1]:.2f} %, median {middle:.2f} %")
    if len(ended) < len(summaries):
        parts.append(f"{len(summaries) - len(ended)} diverged")
    seconds = sum(one["seconds"] for one in summaries if isinstance(one.get("seconds"), int | float))
    parts.append(f"{duration(seconds)} of training")
    return f"{len(summaries)} results: {'; '.join(parts)}"


@dataclass(frozen=True)
class Outcome:
    """How the runs of a command ended."""

    root: Path
    statuses: list[Status]
    interrupted: bool
    unknown: bool = False  # squeue gave no answer, so that nothing was sent that may be in the queue

    @property
    def is_sweep(self) -> bool:
        return SweepDirectory(self.root).runs.is_dir()

    @property
    def states(self) -> list[State | None]:
        return [status.state for status in self.statuses]

    @property
    def exit_code(self) -> int:
        """0 if every run has a result (a diverged run is one); 130 after Ctrl-C; 1 where a run has failed, or could
        not be begun; 3 where all others have a result and the rest is with another command, or with Slurm."""
        if self.interrupted:
            return 130
        left = [state for state in self.states if state not in RESULTS]
        if self.unknown or (left and all(state in AWAY for state in left)):
            return 3
        return 1 if left else 0
