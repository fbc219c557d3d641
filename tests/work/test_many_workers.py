"""Workers that are killed and stopped at random: every run is done once, and none is wrong."""

import contextlib
import json
import os
import random
import signal
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from harness import attempts, copies, execute, finish, plan, results, scaled

from taunode.runs.directory import RunDirectory
from taunode.runs.observe import fingerprint, look
from taunode.runs.state import SIGNALS_IN_A_ROW, State, killed_in_a_row

WORKERS = 8
LEASE = 1.0


class Crew:
    """Workers that somebody torments and replaces."""

    def __init__(self, runs: list[RunDirectory], moments: random.Random) -> None:
        self.runs, self.moments = runs, moments
        self.workers: list[ForkServerProcess] = []
        self.asleep: dict[int, float] = {}  # process id → when it goes on
        self.kills = self.stops = 0

    def left(self) -> list[RunDirectory]:
        return [run for run in self.runs if not run.done.exists()]

    def fill(self) -> None:
        self.workers = [worker for worker in self.workers if worker.is_alive()]
        while len(self.workers) < WORKERS:
            self.workers.append(execute(self.runs, lease_seconds=LEASE))

    def torment(self) -> None:
        worker = self.moments.choice(self.workers)
        if worker.pid in self.asleep:
            return
        stop = self.moments.choice([os.kill, os.killpg])  # the worker alone, or its child as well
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            stop(worker.pid, signal.SIGSTOP)
            self.asleep[worker.pid] = time.monotonic() + self.moments.uniform(0, 2.5 * LEASE)
            if self.kills <= self.stops and not self.would_fail(worker.pid):  # in turn: a short test sees both
                os.kill(worker.pid, signal.SIGKILL)
                self.kills += 1
            else:
                self.stops += 1

    def would_fail(self, pid: int) -> bool:
        """Whether its run would be killed for the third time in a row without progress, which is failed by design."""
        for run in self.left():
            known = attempts(run)
            if known and known[-1]["owner"]["pid"] == pid and "state" not in known[-1]:
                return killed_in_a_row(known, fingerprint(run)) >= SIGNALS_IN_A_ROW
        return False

    def wake(self, all_of_them: bool = False) -> None:
        for pid, due in list(self.asleep.items()):
            if all_of_them or time.monotonic() > due:
                del self.asleep[pid]
                for go_on in (os.kill, os.killpg):  # it may have been stopped before it had a group
                    with contextlib.suppress(ProcessLookupError):  # it has been killed
                        go_on(pid, signal.SIGCONT)

    def work(self) -> None:
        while left := self.left():
            assert look(self.moments.choice(left))[2] is not State.FAILED
            self.fill()
            if self.kills + self.stops <= len(self.runs) - len(left):  # else a slow machine would never be done
                self.torment()
            time.sleep(self.moments.uniform(0, 0.2))
            self.wake()
        self.wake(all_of_them=True)
        for worker in self.workers:
            worker.join()


def test_every_run_is_done_once_and_none_is_wrong(tmp_path: Path) -> None:
    seeds = 5
    references = [results(run) for run in _finished(plan(tmp_path / "reference", seeds=seeds))]
    planned = plan(tmp_path / "sweep", seeds=seeds)
    groups = [copies(run, max(1, scaled(300) // seeds)) for run in planned]
    crew = Crew([run for group in zip(*groups, strict=True) for run in group], random.Random(0))
    crew.work()

    for seed, group in enumerate(groups):
        for run in group:
            assert look(run)[2] is State.DONE
            ended = [attempt["attempt"] for attempt in attempts(run) if attempt.get("state") == State.DONE]
            done = json.loads(run.done.read_bytes())
            # A worker killed between `done` and its own record leaves the latter without an end.
            assert ended in ([done["attempt"]], [])
            assert os.path.samefile(run.path / "model.safetensors", run.model(done["attempt"]))
            assert results(run) == references[seed], f"{run} differs"
    tries = sum(run.attempts() for run in crew.runs)
    print(f"{len(crew.runs)} runs, {tries} attempts, {crew.kills} kills, {crew.stops} stops")
    assert crew.kills
    assert crew.stops


def _finished(runs: list[RunDirectory]) -> list[RunDirectory]:
    finish(runs)
    return runs
