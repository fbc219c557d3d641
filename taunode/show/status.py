"""How a sweep stands: a line a run for those who watch it, counts for all, and the exit code that follows."""

import csv
import math
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from taunode.cluster.submission import InSlurm, sweep_of
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.observe import look
from taunode.runs.state import BROKEN, RESULTS, State

COLOURS = {
    State.QUEUED: "blue",
    State.RUNNING: "cyan",
    State.DONE: "green",
    State.DIVERGED: "magenta",
    State.STALLED: "yellow",
    **dict.fromkeys(BROKEN, "red"),
}


@dataclass(frozen=True)
class Status:
    """One run as a watcher sees it; errors in percent and seconds left, null where there are none to tell."""

    name: str
    state: State
    epoch: int
    epochs: int | None
    test_error: float | None
    attempts: int
    note: str
    seconds_left: float | None = None

    @property
    def objective(self) -> float:
        """What a search minimises: a network that diverged in its first epoch is worse than any other."""
        return math.inf if self.test_error is None else self.test_error

    @property
    def row(self) -> list[Text | str]:
        error = "" if self.test_error is None else f"{self.test_error:.2f}"
        epochs = f"{self.epoch}/{self.epochs}" if self.epochs else str(self.epoch or "")
        return [
            self.name,
            Text(self.state, style=COLOURS.get(self.state, "")),
            epochs,
            error,
            "" if self.seconds_left is None else duration(self.seconds_left),
            str(self.attempts),
            self.note,
        ]


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.4 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def status(run: RunDirectory, slurm: InSlurm | None = None) -> Status:
    """Look at a run: its record, and the tables of a run at work.

    Raises:
        BadInput: it cannot be read.
    """
    slurm = slurm or InSlurm()
    record, seen, state = look(run, slurm.queue, run.path.name in slurm.queued)
    attempt = seen.attempt or {}
    summary = (seen.done or {}).get("summary", {})
    epoch, error = summary.get("epochs", 0), summary.get("final_test_error")
    if seen.done is None:
        epoch, error = _last_epoch(run, seen.attempts)
    note, left, epochs = "", None, record.facts.get("epochs_planned")
    if state in (State.RUNNING, State.STALLED):
        owner = attempt["owner"]
        where = f"pid {owner['pid']}" if owner["slurm"] is None else f"job {owner['slurm']['job']}"
        note = f"on {owner['host']}, {where}"
        left = _seconds_left(run, seen.attempts, epochs)
    elif state is State.DIVERGED:
        note = f"in epoch {summary.get('diverged_epoch')}"
    elif state is not State.DONE:
        note = str(attempt.get("end", ""))
    return Status(record.name, state, epoch, epochs, error, seen.attempts, note, left)


def _seconds_left(run: RunDirectory, attempt: int, epochs: int | None) -> float | None:
    """What the remaining epochs take if they take as long as the ones before did."""
    try:
        with open(run.timings(attempt), newline="") as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    except (FileNotFoundError, KeyError, ValueError):
        return None
    return sum(seconds) / len(seconds) * (epochs - len(seconds)) if seconds and epochs else None


def _last_epoch(run: RunDirectory, attempt: int) -> tuple[int, float | None]:
    try:
        with open(run.metrics(attempt), newline="") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))
    except FileNotFoundError:
        return 0, None
    if not rows:
        return 0, None
    error = rows[-1].get("test_error")  # none where nothing is trained
    return int(rows[-1]["epoch"]), None if error is None else float(error)


def counts(states: Counter[State]) -> Text:
    """`18 done, 6 running`, in the order of the states."""
    parts = [Text(f"{states[state]} {state}", style=COLOURS.get(state, "")) for state in State if states[state]]
    return Text(", ").join(parts)


def table(rows: list[Status], title: str) -> Group:
    """Runs as a table for a terminal, below a line that may be longer than the table is wide."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("run", overflow="fold")
    for name in ("state", "epoch", "test error %", "left", "attempts"):
        made.add_column(name, justify="left" if name == "state" else "right", no_wrap=True)
    made.add_column("note", overflow="fold")
    for row in rows:
        made.add_row(*row.row)
    return Group(Text(title, style="italic"), made)


@dataclass(frozen=True)
class Outcome:
    """How the runs of a command ended."""

    root: Path
    statuses: list[Status]
    interrupted: bool

    @property
    def is_sweep(self) -> bool:
        return SweepDirectory(self.root).runs.is_dir()

    @property
    def states(self) -> Counter[State]:
        return Counter(status.state for status in self.statuses)

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 1 where a run failed, else 0: a diverged run is a result."""
        if self.interrupted:
            return 130
        return 1 if any(state in BROKEN for state in self.states) else 0


class Watch:
    """Follows the runs of a command while they are executed; looks only at what can still change."""

    def __init__(self, root: Path, runs: list[RunDirectory]) -> None:
        self.root, self.interrupted = root, False
        self._sweep = sweep_of(root)
        self._runs = {run.path.name: run for run in runs}
        slurm = InSlurm.of(self._sweep)
        self._seen = {name: status(run, slurm) for name, run in self._runs.items()}
        self._due = 0.0

    def is_due(self) -> bool:
        """Whether it is time to look again: once a second, and less often where a look takes long."""
        return time.monotonic() >= self._due

    def look(self) -> list[Status]:
        """The runs whose state has changed since the last look."""
        began = time.monotonic()
        changed = []
        slurm = InSlurm.of(self._sweep)
        for name, old in self._seen.items():
            if old.state not in RESULTS:
                new = status(self._runs[name], slurm)
                if new.state is not old.state:
                    changed.append(new)
                self._seen[name] = new
        ended = time.monotonic()
        self._due = ended + max(1.0, 20 * (ended - began))
        return changed

    def table(self) -> Group:
        """Counts, the runs at work, and those that failed."""
        self.look()
        shown = [seen for seen in self._seen.values() if seen.state in BROKEN | {State.RUNNING, State.STALLED}]
        states = Counter(seen.state for seen in self._seen.values())
        return table(shown[-20:], f"{self.root}: {counts(states).plain}")

    def print_changes(self) -> None:
        """A line for every run that ended since the last look, where no table can be drawn."""
        for new in self.look():
            if new.state in RESULTS | BROKEN:
                error = "" if new.test_error is None else f", test error {new.test_error:.2f} %"
                done = sum(seen.state in RESULTS for seen in self._seen.values())
                note = f" ({new.note})" if new.note else ""
                print(f"[{done}/{len(self._seen)}] {new.name}: {new.state}{note}{error}", flush=True)

    def states(self) -> set[State]:
        """The states at the last look."""
        return {seen.state for seen in self._seen.values()}

    def outcome(self) -> Outcome:
        self.look()
        return Outcome(self.root, list(self._seen.values()), self.interrupted)
