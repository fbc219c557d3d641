"""A round: commands and jobs that meet at one sweep, what happens to them, and what must hold in the end."""

import random
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from commands import LIMIT, Command, Commands, Ended

from campaign.journal import Journal
from campaign.judge import has_result
from campaign.processes import TARGETS, Sleepers, of_session, send, targets
from campaign.weather import MOODS, Disk, Squeue, remove
from taunode.runs.directory import SweepDirectory

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
READERS = (
    ("taunode-sweep", "status", "sweep"),
    ("taunode-sweep", "list", "."),
    ("multirun-analysis", "table", "sweep"),
)
MAY_REFUSE = ("cancel", "table")  # without an answer of squeue's; where there is no result


@dataclass
class Typed:
    """A command at work.

    Attributes:
        runs: the names of those that it is about; none where it only sends jobs.
        disturbed: it was sent a signal itself.
    """

    command: Command
    runs: set[str]
    began: float = field(default_factory=time.monotonic)
    disturbed: bool = False


class Round(ABC):
    """One sweep, from its first command to its last.

    Args:
        due: the results of every run of it.
        squeue: what commands believe to be squeue.
    """

    weights: ClassVar[Mapping[str, int]]  # the name of a fault's method → how often of all
    pause: ClassVar[tuple[float, float]]  # seconds between two faults
    lease: ClassVar[float]
    commands_at_a_time: ClassVar[int] = 3

    def __init__(
        self,
        folder: Path,
        commands: Commands,
        chance: random.Random,
        journal: Journal,
        disk: Disk,
        due: dict[str, dict[str, object]],
        squeue: Squeue | None,
    ) -> None:
        self.folder, self.sweep, self.commands = folder, SweepDirectory(folder / "sweep"), commands
        self.chance, self.journal, self.disk, self.due, self.squeue = chance, journal, disk, due, squeue
        self.at_work: list[Typed] = []
        self.sessions: list[int] = []
        self.sleepers = Sleepers()
        self.later: list[tuple[float, Callable[[], object]]] = []  # what is over then
        self.full_until = 0.0
        self.removed_done: dict[str, float] = {}  # runs that had a result when they were removed, and when

    def go(self, faults: int) -> None:
        """Do so many faults, if the sweep does not end before; then let it end, and judge it."""
        self.journal.begin()
        self.prepare()
        done = 0
        while done < faults and not (self.sweep.runs.exists() and self.is_done()):
            self.collect()
            if self.is_idle():
                self.begin()
            time.sleep(self.chance.uniform(*self.pause))
            done += self.fault()
            self.pass_time()
        self.calm()
        self.end()

    @abstractmethod
    def prepare(self) -> None:
        """What comes before the first fault."""

    @abstractmethod
    def is_idle(self) -> bool:
        """Whether nobody is at work."""

    @abstractmethod
    def begin(self) -> None:
        """Type one of the commands that go on with the sweep."""

    @abstractmethod
    def end(self) -> None:
        """Type the commands that end a sweep, which tell the truth by their exit codes, and judge it."""

    # Commands

    def start(self, words: Sequence[str], runs: set[str]) -> None:
        command = self.commands.start(*words, cwd=self.folder)
        shown = [word for word in words if "=" not in word]
        self.journal.note(f"{' '.join(shown)} = {command.pid}")
        self.at_work.append(Typed(command, runs))
        self.sessions.append(command.pid)

    def collect(self) -> None:
        """Look at the commands that have ended."""
        for typed in list(self.at_work):
            if (ended := typed.command.ended()) is not None:
                self.at_work.remove(typed)
                self.check(typed, ended)

    def check(self, typed: Typed, ended: Ended) -> None:
        self.journal.note(f"{typed.command.pid} has ended: {ended.code}")
        assert "Traceback" not in ended.out + ended.err, str(ended)
        if ended.code == 0:
            told = {name for name, when in self.removed_done.items() if when > typed.began}
            left = [name for name in typed.runs if not has_result(self.sweep.run(name)) and name not in told]
            assert not left, f"exit 0, and {left} have no result\n{ended}"
        if not typed.disturbed:
            others = typed.command.words[1] in MAY_REFUSE or self.full_until > typed.began
            refused = (2,) if others else ()
            assert ended.code in (0, 1, 3, *refused), str(ended)

    def type(self, *words: str, seconds: float = LIMIT) -> Ended:
        """Type a command when all is calm, and wait until it ends."""
        command, until = self.commands.start(*words, cwd=self.folder), time.monotonic() + seconds
        while (ended := command.ended()) is None:
            assert time.monotonic() < until, f"a standstill: {' '.join(words)}"
            time.sleep(0.01)
        self.journal.note(f"{' '.join(word for word in words if '=' not in word)}: {ended.code}")
        assert "Traceback" not in ended.out + ended.err, str(ended)
        return ended

    def is_done(self) -> bool:
        return set(self.sweep.named()) >= set(self.due) and all(map(has_result, self.sweep))

    # Faults: each says whether it found what it is for

    def fault(self) -> bool:
        kinds = dict(self.weights)
        if not self.disk.can_be_full:
            del kinds["fill"]
        if self.squeue is None:
            del kinds["mood"]
        (kind,) = self.chance.choices(list(kinds), list(kinds.values()))
        return bool(getattr(self, kind)())

    def kill(self) -> bool:
        return self.strike(self.chance.choice(SIGNALS))

    def stop(self) -> bool:
        return self.strike(signal.SIGSTOP, self.chance.uniform(0.01, 2 * self.lease))

    def strike(self, number: signal.Signals, seconds: float = 0.0) -> bool:
        """Send a signal to a process of a command, or to all of them."""
        if not self.at_work:
            return False
        typed, target = self.chance.choice(self.at_work), self.chance.choice(TARGETS)
        pids = sorted(targets(typed.command.pid, target))
        if not pids:
            return False
        if target in ("worker", "run"):
            pids = [self.chance.choice(pids)]
        typed.disturbed = typed.disturbed or (not seconds and typed.command.pid in pids)
        self.send(pids, number, seconds, target)
        return True

    def send(self, pids: list[int], number: signal.Signals, seconds: float, target: str) -> None:
        long = "" if not seconds else ", longer than the lease" if seconds > self.lease else ", shorter than the lease"
        self.journal.fault(f"{number.name}{long}: {target}", f"{pids}" + f", {seconds:.2f} s" * bool(seconds))
        if seconds:
            self.sleepers.stop(pids, seconds)
        else:
            send(pids, number)

    def remove(self) -> bool:
        if not (names := self.sweep.named()) or self.is_idle():
            return False
        name = self.chance.choice(names)
        self.journal.fault("rm -r of a run", name)
        if remove(self.sweep.run(name).path):
            self.removed_done[name] = time.monotonic()
        return True

    def another(self) -> bool:
        if self.is_idle() or len(self.at_work) >= self.commands_at_a_time:
            return False
        self.journal.fault("another command")
        self.begin()
        return True

    def look(self) -> bool:
        """Somebody looks, which is no fault."""
        if self.sweep.named() and len(self.at_work) < self.commands_at_a_time:
            self.start(self.chance.choice(READERS), set())
        return False

    def cancel(self) -> bool:
        if self.is_idle() or not self.sweep.named():
            return False
        where = self.chance.choice([(), ("--where", f"seed < {self.chance.randrange(len(self.due))}")])
        self.journal.fault("taunode-sweep cancel", " ".join(where))
        self.start(["taunode-sweep", "cancel", "sweep", *where], set())
        return True

    def fill(self) -> bool:
        if self.full_until > time.monotonic():
            return False
        seconds = self.chance.uniform(0.05, 1.5)
        self.journal.fault("full disk", f"for {seconds:.2f} s")
        self.full_until = time.monotonic() + seconds
        self.disk.fill()
        self.later.append((self.full_until, self.disk.free))
        return True

    def mood(self) -> bool:
        assert self.squeue is not None
        squeue, mood = self.squeue, self.chance.choice(MOODS)
        self.journal.fault(f"squeue: {mood}")
        squeue.be(mood)
        self.later.append((time.monotonic() + self.chance.uniform(0.2, 3.0), lambda: squeue.be("good")))
        return True

    def pass_time(self) -> None:
        """End what is over."""
        self.sleepers.wake()
        for due, end in list(self.later):
            if time.monotonic() > due:
                self.later.remove((due, end))
                end()

    def calm(self) -> None:
        """Nothing happens any more; the commands at work come to an end."""
        self.journal.note("calm")
        for _, end in self.later:
            end()
        self.later.clear()
        self.sleepers.wake(everybody=True)
        until = time.monotonic() + LIMIT
        while self.at_work or any(of_session(leader) for leader in self.sessions):
            self.collect()
            assert time.monotonic() < until, f"a standstill: {[one.command.words for one in self.at_work]}"
            time.sleep(0.02)
