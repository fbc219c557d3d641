"""The local executor: worker processes on this machine, and one live table while they work."""

import itertools
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.live import Live

from taunode.runs.runtime import Runtime, processors
from taunode.runs.state import State
from taunode.show.status import Outcome, Watch
from taunode.work.assignment import Assignment, check_frozen, startable
from taunode.work.crew import Crew
from taunode.work.machine import check_machine, visible_gpus
from taunode.work.signals import Signals
from taunode.work.worker import work

STILLBORN = 10  # workers that died within a second, until no more are started


def run_locally(
    assignments: Sequence[Assignment], root: Path, workers: int | None, also: frozenset[State] = frozenset()
) -> Outcome:
    """Execute what may be started among the assignments with several workers; returns when all have ended.

    Each run has one thread unless `runtime.threads` says otherwise: many single-threaded runs beat one with many.

    Args:
        root: what the table is about.
        workers: null for one a GPU, or as many as the processors have room for.

    Raises:
        BadInput: `workers` is below 1, the device is not there, or a frozen configuration has been tampered with.
    """
    asked = assignments[0].runtime
    check_machine(asked, workers)
    assignments = [replace(one, runtime=_in_worker(one.runtime)) for one in assignments]
    todo = startable(assignments, also)
    check_frozen(one.run for one in todo)
    watch = Watch(root, [one.run for one in assignments])
    if todo:
        gpus = visible_gpus(asked)
        threads = max(one.runtime.threads or 1 for one in todo)
        count = min(len(todo), workers or len(gpus) or max(1, processors() // threads))
        todo = [replace(one, runtime=one.runtime.sharing(count)) for one in todo]
        _work_together(todo, also, gpus, count, watch)
    return watch.outcome()


def _in_worker(runtime: Runtime) -> Runtime:
    """One thread unless more were asked for; the one GPU that a worker sees is `cuda` there, whatever its number."""
    device = "cuda" if runtime.device.startswith("cuda:") else runtime.device
    return replace(runtime, threads=runtime.threads or 1, device=device)


def _work_together(
    assignments: Sequence[Assignment], also: frozenset[State], gpus: list[str], count: int, watch: Watch
) -> None:
    """Workers that take the runs between them; one that died while there is work is replaced."""

    def at_place(place: int, signals: Signals) -> int:
        if gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus[place % len(gpus)]
        work(assignments, also, signals=signals)
        return 0

    stillborn = itertools.count(1)

    def replace_dead(code: int, seconds: float) -> bool:
        if code == 0 or not startable(assignments, also):
            return False
        if seconds < 1.0 and next(stillborn) > STILLBORN:
            print("taunode: workers die as soon as they are started; giving up", file=sys.stderr)
            return False
        return True

    crew = Crew(at_place, replace_dead, own_groups=True)
    console = Console()
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def show() -> None:
            if watch.is_due():
                if console.is_terminal:
                    live.update(watch.table(), refresh=True)
                else:
                    watch.print_changes()

        crew.run(count, meanwhile=show)
    if not console.is_terminal:
        watch.print_changes()
    watch.interrupted = bool(crew.received)
