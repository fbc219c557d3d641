"""Ways for a run to end: each replaces something in a worker before it forks the child."""

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from taunode.runs.claim import Claim
from taunode.runs.directory import RunDirectory
from taunode.work import attempt, worker


def _instead(train: Callable[[RunDirectory], Any], only_first: bool = False) -> None:
    """Train so; with `only_first` from the second attempt on as always."""
    real = attempt.train

    def replaced(run: RunDirectory, attempt: int, *arguments: Any) -> Any:
        return real(run, attempt, *arguments) if only_first and attempt > 1 else train(run)

    attempt.train = replaced


def _raise(error: BaseException) -> Callable[[RunDirectory], None]:
    def train(run: RunDirectory) -> None:
        raise error

    return train


def _kill(number: signal.Signals) -> Callable[[RunDirectory], None]:
    return lambda run: os.kill(os.getpid(), number)


def exception() -> None:
    _instead(_raise(ValueError("the first line\nthe second")))


def exit_3() -> None:
    _instead(lambda run: sys.exit(3))


def exit_silently() -> None:
    _instead(lambda run: os._exit(0))


def segmentation_fault() -> None:
    _instead(_kill(signal.SIGSEGV))


def killed_once() -> None:
    _instead(_kill(signal.SIGKILL), only_first=True)


def killed_always() -> None:
    _instead(_kill(signal.SIGKILL))


def no_memory() -> None:
    _instead(_raise(MemoryError()))


def no_memory_in_torch() -> None:
    _instead(_raise(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")))


def _hang(run: RunDirectory) -> None:
    (run.path / "child").write_text(str(os.getpid()))
    while True:
        time.sleep(60)


def hangs() -> None:
    _instead(_hang)


def hangs_once() -> None:
    _instead(_hang, only_first=True)


def no_heartbeat_once() -> None:
    """The file server does not answer for the whole first attempt."""
    beat = Claim.beat

    def refused(claim: Claim) -> None:
        if claim.attempt == 1:
            raise OSError(5, "Input/output error")
        beat(claim)

    Claim.beat = refused
    hangs_once()


def full_disk_after_a_checkpoint() -> None:
    """Every file from the second checkpoint on ends in the middle: no space left."""
    write_aside = attempt.write_aside

    def full(path: Any, write: Callable[[Any], object], durable: bool = False) -> None:
        def break_off(file: Any) -> None:
            file.write(b"half")
            raise OSError(28, "No space left on device")

        write_aside(path, break_off if path.name.startswith("checkpoint") and path.exists() else write, durable)

    attempt.write_aside = full


def filled_disk_after_a_checkpoint() -> None:
    """What the run's file system still has is taken by another file when the first checkpoint is there."""
    checkpoint = attempt.AttemptFiles.checkpoint

    def then_fill(files: Any, write: Callable[[Any], object]) -> None:
        checkpoint(files, write)
        filler = files._run.path.parents[1] / "filler"
        if not filler.exists():
            free = os.statvfs(filler.parent)
            filler.write_bytes(bytes(free.f_bavail * free.f_bsize - 2**16))

    attempt.AttemptFiles.checkpoint = then_fill


def claims_are_refused() -> None:
    """The disk is full before a run is claimed."""

    def refused(assignment: Any, also: Any, processes: int) -> None:
        raise OSError(28, "No space left on device")

    worker.take_run = refused
