"""The local executor: worker processes on this machine, and one live table while they work."""

import ctypes
import os
import signal
import sys
import time
import types
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.live import Live

from taunode.errors import BadInput
from taunode.launch.status import Outcome, Watch
from taunode.runs.claim import look
from taunode.runs.runtime import Runtime
from taunode.runs.state import State, may_start
from taunode.runs.worker import Task, work


def startable(tasks: Sequence[Task], also: frozenset[State] = frozenset()) -> list[Task]:
    """The tasks whose runs may be started now."""
    found = []
    for task in tasks:
        _, seen, state = look(task.run)
        if may_start(state, seen.attempt) or (state in also and seen.attempts == task.newest):
            found.append(task)
    return found


def processors() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus(runtime: Runtime) -> list[str]:
    """The GPUs a sweep may use, as CUDA_VISIBLE_DEVICES names them; nothing is initialised on them.

    Raises:
        BadInput: the runtime asks for a GPU, and there is none.
    """
    if runtime.device == "cpu" or runtime.device == "mps":
        return []
    import torch

    count = torch.cuda.device_count()
    if not count and runtime.device != "auto":
        raise BadInput(f"runtime.device={runtime.device}: this machine has no CUDA device; valid: auto, cpu")
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",")[:count] if named else [str(index) for index in range(count)]


def run_locally(
    tasks: Sequence[Task], root: Path, workers: int | None, also: frozenset[State] = frozenset()
) -> Outcome:
    """Execute what may be started among the tasks with several workers; returns when all have ended.

    Each run has one thread unless `runtime.threads` says otherwise: many single-threaded runs beat one with many.

    Args:
        root: what the table is about.
        workers: null for one a GPU, or as many as the processors have room for.

    Raises:
        BadInput: `workers` is below 1.
    """
    if workers is not None and workers < 1:
        raise BadInput(f"hydra.launcher.workers must be at least 1, or null, got {workers}")
    tasks = [replace(task, runtime=replace(task.runtime, threads=task.runtime.threads or 1)) for task in tasks]
    todo = startable(tasks, also)
    watch = Watch(root, [task.run for task in tasks])
    if todo:
        gpus = visible_gpus(todo[0].runtime)
        threads = max(task.runtime.threads or 1 for task in todo)
        count = min(len(todo), workers or len(gpus) or max(1, processors() // threads))
        _Crew(todo, also, gpus, count).run(watch)
    return watch.outcome()


class _Crew:
    """Worker processes; one that died while there is work is replaced."""

    def __init__(self, tasks: Sequence[Task], also: frozenset[State], gpus: list[str], count: int) -> None:
        self._tasks, self._also, self._gpus, self._count = tasks, also, gpus, count
        self._workers: dict[int, int] = {}  # process id → place
        self._received: list[int] = []

    def run(self, watch: Watch) -> None:
        import taunode.runs.execute  # noqa: F401 -- torch, once: the workers and their children are forks of this

        before = {
            number: signal.signal(number, self._pass_on) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        console = Console()
        try:
            for place in range(self._count):
                self._start(place)
            with Live(console=console, auto_refresh=False, transient=True) as live:
                while self._workers:
                    if watch.is_due():
                        if console.is_terminal:
                            live.update(watch.table(), refresh=True)
                        else:
                            watch.print_changes()
                    time.sleep(0.05)
                    self._reap()
            if not console.is_terminal:
                watch.print_changes()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        watch.interrupted = bool(self._received)

    def _start(self, place: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            self._workers[pid] = place
            return
        code = 1
        try:
            os.setpgid(0, 0)  # Ctrl-C goes to the launcher alone, which passes it on once
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: a dead launcher means stop and save
            if self._gpus:
                os.environ["CUDA_VISIBLE_DEVICES"] = self._gpus[place % len(self._gpus)]
            work(self._tasks, self._also)
            code = 0
        except Exception:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)

    def _reap(self) -> None:
        for pid, place in list(self._workers.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._workers[pid]
                if status != 0 and not self._received and startable(self._tasks, self._also):
                    self._start(place)

    def _pass_on(self, number: int, frame: types.FrameType | None) -> None:
        self._received.append(number)
        for pid in self._workers:
            os.kill(pid, number)
