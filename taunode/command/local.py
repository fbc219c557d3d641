"""The local executor: worker processes on this machine, and one live table while they work."""

import itertools
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from taunode import interrupt
from taunode.runs.runtime import processors
from taunode.runs.state import State
from taunode.show.status import Outcome, Status
from taunode.show.watch import Display, Watch
from taunode.work.assignment import Assignment, startable
from taunode.work.crew import Crew
from taunode.work.machine import check_machine, visible_gpus
from taunode.work.shared_gpu import SharedGpu
from taunode.work.signals import Signals
from taunode.work.slots import Slots, processor_slots
from taunode.work.worker import work

STILLBORN = 10  # workers that died within a second, until no more are started


def run_locally(
    assignments: Sequence[Assignment],
    root: Path,
    workers: int | None,
    also: frozenset[State] = frozenset(),
    wait: bool = True,
    seen: list[Status] | None = None,
) -> Outcome:
    """Execute what may be started among the assignments with several workers; returns when all have ended.

    Each run has one thread unless `runtime.threads` says otherwise: many single-threaded runs beat one with many.

    Args:
        root: what the table is about.
        workers: null for one a GPU, or as many as the processors have room for, shared with this user's other
            commands on this machine.
        wait: for runs that other commands execute, and take over what becomes free of them.
        seen: how the runs stood a moment ago, where somebody has looked.

    Raises:
        BadInput: `workers` is below 1, or the device is not there.
    """
    interrupt.check()
    check_machine(assignments[0].runtime, workers)
    watch = Watch(root, [one.run for one in assignments], seen)
    local = _Local([_in_worker(one) for one in assignments], workers, also)
    try:
        with Display(watch) as refresh:
            while not watch.interrupted:
                began = time.monotonic()
                if todo := local.untried(watch.seen):
                    watch.interrupted = local.execute(todo, refresh)
                    watch.look()
                elif wait and watch.is_at_work():
                    _pause(max(2.0, 20 * (time.monotonic() - began)), refresh)
                elif not local.untried(watch.seen):
                    break
    except KeyboardInterrupt:  # while it waited for others
        watch.interrupted = True
    return watch.outcome()


def _in_worker(assignment: Assignment) -> Assignment:
    """One thread unless more were asked for; the one GPU that a worker sees is `cuda` there, whatever its number."""
    runtime = assignment.runtime
    device = "cuda" if runtime.device.startswith("cuda:") else runtime.device
    return replace(assignment, runtime=replace(runtime, threads=runtime.threads or 1, device=device))


def _pause(seconds: float, refresh: Callable[[], None]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        refresh()
        time.sleep(0.1)


@dataclass
class _Local:
    """The workers of one command on this machine."""

    assignments: Sequence[Assignment]
    workers: int | None
    also: frozenset[State]
    _tried: set[tuple[str, int]] = field(default_factory=set)

    def untried(self, seen: Mapping[str, Status]) -> list[Assignment]:
        """What may be started, but for what this command has tried in vain and nobody has touched since.

        Args:
            seen: how the runs stand.
        """
        found = []
        for one in self.assignments:
            status = seen[one.run.path.name]
            asked = status.state in self.also and status.attempts == one.newest
            if (status.free or asked) and (status.name, status.attempts) not in self._tried:
                found.append(one)
        return found

    def execute(self, todo: Sequence[Assignment], refresh: Callable[[], None]) -> bool:
        """Workers that take the runs between them; one that died while there is work is replaced.

        Returns:
            Whether a signal has said stop.
        """
        self._tried |= {(one.run.path.name, _attempts(one)) for one in todo}
        asked = todo[0].runtime
        gpus = visible_gpus(asked)
        threads = max(one.runtime.threads or 1 for one in todo)
        room = len(gpus) or max(1, processors() // threads)
        count = min(len(todo), self.workers or room)
        todo = [replace(one, runtime=one.runtime.sharing(count)) for one in todo]

        def at_place(place: int, signals: Signals) -> int:
            slots: Slots | SharedGpu | None = None
            if gpus and count > len(gpus):
                slots = SharedGpu([one.run for one in todo], place // len(gpus))
            elif self.workers is None:
                slots = Slots([f"gpu{gpus[place % len(gpus)]}"]) if gpus else Slots(processor_slots(), threads)
            if gpus:
                os.environ["CUDA_VISIBLE_DEVICES"] = gpus[place % len(gpus)]
            work(todo, self.also, signals=signals, slots=slots)
            return 0

        stillborn = itertools.count(1)

        def replace_dead(code: int, seconds: float) -> bool:
            if code == 0 or not startable(todo, self.also):
                return False
            if seconds < 1.0 and next(stillborn) > STILLBORN:
                print("taunode: workers die as soon as they are started; giving up", file=sys.stderr)
                return False
            return True

        crew = Crew(at_place, replace_dead, own_groups=True)
        crew.run(count, meanwhile=refresh)
        return bool(crew.received)


def _attempts(assignment: Assignment) -> int:
    try:
        return assignment.run.attempts()
    except OSError:  # removed
        return -1
