"""The local executor: worker processes on this machine, and one live table while they work."""

import os
import signal
import sys
import time
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.live import Live

from taunode import build
from taunode.errors import BadInput
from taunode.launch.status import Outcome, Watch
from taunode.orphan import die_with
from taunode.runs.claim import look
from taunode.runs.directory import RunDirectory
from taunode.runs.runtime import Runtime, processors
from taunode.runs.state import State, may_start
from taunode.runs.worker import Signals, Task, work

STILLBORN = 10  # workers that died within a second, until no more are started


def startable(tasks: Sequence[Task], also: frozenset[State] = frozenset()) -> list[Task]:
    """The tasks whose runs may be started now."""
    found = []
    for task in tasks:
        _, seen, state = look(task.run)
        if may_start(state, seen.attempt) or (state in also and seen.attempts == task.newest):
            found.append(task)
    return found


def check_frozen(runs: Iterable[RunDirectory]) -> None:
    """Refuse runs whose frozen configuration names what taunode does not build: somebody changed the file.

    Raises:
        BadInput: with the run, the key and the names that are allowed.
    """
    for run in runs:
        try:
            build.check_targets(run.read_config())
        except BadInput as error:
            raise BadInput(f"{run.config}: {error}") from None


def check_machine(runtime: Runtime, workers: int | None = None) -> None:
    """Refuse what this machine cannot do, before anything is written.

    Raises:
        BadInput: `workers` is below 1, or the device is not there.
    """
    if workers is not None and workers < 1:
        raise BadInput(f"hydra.launcher.workers must be at least 1, or null, got {workers}")
    if runtime.device not in ("auto", "cpu"):
        from taunode.runs.execute import choose_device

        choose_device(runtime.device)


def visible_gpus(runtime: Runtime) -> list[str]:
    """The GPUs a sweep may use, as CUDA_VISIBLE_DEVICES names them; nothing is initialised on them."""
    if runtime.device == "cpu":
        return []
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = named.split(",")[:count] if named else [str(index) for index in range(count)]
    _, colon, index = runtime.device.partition(":")
    return [gpus[int(index)]] if colon else gpus


def run_locally(
    tasks: Sequence[Task], root: Path, workers: int | None, also: frozenset[State] = frozenset()
) -> Outcome:
    """Execute what may be started among the tasks with several workers; returns when all have ended.

    Each run has one thread unless `runtime.threads` says otherwise: many single-threaded runs beat one with many.

    Args:
        root: what the table is about.
        workers: null for one a GPU, or as many as the processors have room for.

    Raises:
        BadInput: `workers` is below 1, the device is not there, or a frozen configuration has been tampered with.
    """
    asked = tasks[0].runtime
    check_machine(asked, workers)
    tasks = [replace(task, runtime=_in_worker(task.runtime)) for task in tasks]
    todo = startable(tasks, also)
    check_frozen(task.run for task in todo)
    watch = Watch(root, [task.run for task in tasks])
    if todo:
        gpus = visible_gpus(asked)
        threads = max(task.runtime.threads or 1 for task in todo)
        count = min(len(todo), workers or len(gpus) or max(1, processors() // threads))
        todo = [replace(task, runtime=task.runtime.sharing(count)) for task in todo]
        _Crew(todo, also, gpus, count).run(watch)
    return watch.outcome()


def _in_worker(runtime: Runtime) -> Runtime:
    """One thread unless more were asked for; the one GPU that a worker sees is `cuda` there, whatever its number."""
    device = "cuda" if runtime.device.startswith("cuda:") else runtime.device
    return replace(runtime, threads=runtime.threads or 1, device=device)


@dataclass(frozen=True)
class _Place:
    """Where a worker works: its number, which chooses the GPU, and since when."""

    number: int
    since: float


class _Crew:
    """Worker processes; one that died while there is work is replaced."""

    def __init__(self, tasks: Sequence[Task], also: frozenset[State], gpus: list[str], count: int) -> None:
        self._tasks, self._also, self._gpus, self._count = tasks, also, gpus, count
        self._workers: dict[int, _Place] = {}  # by process id
        self._received: list[int] = []
        self._heard: list[signal.Signals] = []
        self._stillborn = 0

    def run(self, watch: Watch) -> None:
        import taunode.runs.execute  # noqa: F401 -- torch, once: the workers and their children are forks of this

        heard = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # ignored: under nohup
            heard.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._pass_on) for number in heard}
        self._heard = heard
        console = Console()
        try:
            for place in range(self._count):
                if not self._received:
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
        launcher = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, self._heard)  # until the worker is known here, and has handlers there
        pid = os.fork()
        if pid:
            self._workers[pid] = _Place(place, time.monotonic())
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._heard)
            return
        code = 1
        try:
            signals = Signals()
            signals.install()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._heard)
            os.setpgid(0, 0)  # Ctrl-C goes to the launcher alone, which passes it on once
            die_with(launcher, signal.SIGTERM)  # a dead launcher means stop and save
            if self._gpus:
                os.environ["CUDA_VISIBLE_DEVICES"] = self._gpus[place % len(self._gpus)]
            work(self._tasks, self._also, signals=signals)
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
                self._stillborn += time.monotonic() - place.since < 1.0 and status != 0
                if status != 0 and not self._received and startable(self._tasks, self._also):
                    if self._stillborn > STILLBORN:
                        print("taunode: workers die as soon as they are started; giving up", file=sys.stderr)
                    else:
                        self._start(place.number)

    def _pass_on(self, number: int, frame: types.FrameType | None) -> None:
        self._received.append(number)
        for pid in self._workers:
            os.kill(pid, number)
