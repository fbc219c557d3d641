"""Watch: the runs of a command while they are executed, as a live table, or as a line a change where it is piped."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from taunode.cluster.submission import InSlurm
from taunode.errors import plain
from taunode.runs.directory import RunDirectory, sweep_of
from taunode.runs.state import BROKEN, RESULTS, State
from taunode.show.status import Outcome, Status, counts, duration, status, table

SHOWN = 20  # runs in the table
ENDED = RESULTS | BROKEN | {None}


class Watch:
    """Follows the runs of a command; looks only at what can still change.

    Args:
        seen: how the runs stood a moment ago, where somebody has looked.

    Attributes:
        seen: how they stood at the last look.
    """

    def __init__(self, root: Path, runs: list[RunDirectory], seen: list[Status] | None = None) -> None:
        self.root, self.interrupted, self.unknown = root, False, False
        self._sweep = sweep_of(root)
        self._runs = {run.path.name: run for run in runs}
        if seen is None:
            slurm = InSlurm.of(self._sweep)
            seen = [status(run, slurm) for run in runs]
        self.seen = {run.path.name: one for run, one in zip(runs, seen, strict=True)}
        self._ended = sum(seen.state in ENDED for seen in self.seen.values())
        self._began, self._share = time.monotonic(), self._shares()
        self._due = time.monotonic() + 1.0
        self._changed: list[Status] = []

    def is_due(self) -> bool:
        """Whether it is time to look again: once a second, and less often where a look takes long."""
        return time.monotonic() >= self._due

    def look(self) -> None:
        """See how the runs stand now."""
        began = time.monotonic()
        slurm = InSlurm.of(self._sweep)
        for name, old in self.seen.items():
            if old.state not in RESULTS:
                new = status(self._runs[name], slurm)
                if new.state is not old.state:
                    self._changed.append(new)
                self.seen[name] = new
        ended = time.monotonic()
        self._due = ended + max(1.0, 20 * (ended - began))

    def _shares(self) -> float:
        return sum(seen.share for seen in self.seen.values())

    def pace(self) -> tuple[float, float] | None:
        """Runs an hour, and the seconds left, by what has been done since this began; None while that is too little."""
        done, seconds = self._shares() - self._share, time.monotonic() - self._began
        if seconds < 2 or done < 0.01:
            return None
        left = sum(1 - seen.share for seen in self.seen.values() if not seen.has_failed)
        return done / seconds * 3600, left * seconds / done

    def _told_pace(self) -> str:
        pace = self.pace()
        if pace is None:
            return ""
        an_hour, left = pace
        return f"{an_hour:.3g} runs/h, {duration(left)} left" if left else f"{an_hour:.3g} runs/h"

    def table(self, width: int) -> Group:
        """Counts, the bar of all runs, those at work, and those that failed."""
        self.look()
        seen = list(self.seen.values())
        at_work = [one for one in seen if one.state in (State.RUNNING, State.STALLED)]
        failed = [one for one in seen if one.has_failed]
        shown = [*failed[-(SHOWN // 2) :], *at_work][:SHOWN]
        title = Text(f"{plain(os.path.relpath(self.root))}: ", style="italic") + counts(one.state for one in seen)
        title.truncate(width, overflow="ellipsis")
        ended = sum(one.state in RESULTS for one in seen)
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(len(seen), self._shares(), width=max(10, min(40, width // 4))),
            Text(f"{ended}/{len(seen)}"),
            Text(self._told_pace(), no_wrap=True, overflow="ellipsis"),
        )
        return Group(title, bar, table(shown, width)) if shown else Group(title, bar)

    def print_changes(self) -> None:
        """A line for every run that has ended since these lines were printed, where no table can be drawn."""
        self.look()
        changed, self._changed = self._changed, []
        for new in changed:
            if new.state in ENDED:
                self._ended = min(self._ended + 1, len(self.seen))  # a run that is tried again ends twice
                error = "" if new.test_error is None else f", test error {new.test_error:.2f} %"
                note = f" ({new.note})" if new.note else ""
                pace = f"; {told}" if (told := self._told_pace()) else ""
                print(plain(f"[{self._ended}/{len(self.seen)}] {new.name}: {new.word}{note}{error}{pace}"), flush=True)

    def is_at_work(self) -> bool:
        """Whether somebody executes one of the runs now."""
        self.look()
        return State.RUNNING in self.states()

    def states(self) -> set[State | None]:
        """The states at the last look."""
        return {seen.state for seen in self.seen.values()}

    def outcome(self) -> Outcome:
        self.look()
        return Outcome(self.root, list(self.seen.values()), self.interrupted, self.unknown)


class Display:
    """The live table on a terminal, or lines where the output goes elsewhere; use it in a `with`, call it often."""

    def __init__(self, watch: Watch) -> None:
        self._watch, self._console = watch, Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Callable[[], None]:
        self._live.__enter__()
        return self.refresh

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)
        if not self._console.is_terminal:
            self._watch.print_changes()

    def refresh(self) -> None:
        if self._watch.is_due():
            if self._console.is_terminal:
                self._live.update(self._watch.table(self._console.width), refresh=True)
            else:
                self._watch.print_changes()
