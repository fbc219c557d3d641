"""A run in this process: for notebooks and debuggers, where the worker's child process would be in the way."""

import contextlib
import signal
import sys
import threading
import time

from taunode.runs.claim import Claim
from taunode.runs.files import open_log
from taunode.runs.state import State
from taunode.work.assignment import Assignment
from taunode.work.worker import close, runtime_of, take_run

CANCELLED = "cancelled"


def run_in_process(assignment: Assignment, also: frozenset[State]) -> State | None:
    """Claim and execute a run in this process, for notebooks and debuggers; a thread beats the claim.

    Ctrl-C writes a checkpoint and ends with KeyboardInterrupt.

    Returns:
        The run's state; None where it may not be started, or passed into other hands.
    """
    import torch

    from taunode.work.attempt import AttemptFiles, execute

    claim = take_run(assignment, also)
    if claim is None:
        return None
    runtime = runtime_of(claim)
    heartbeat = _Heartbeat(claim)
    heartbeat.start()
    interrupts: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number)) if main else None
    threads = torch.get_num_threads()
    try:
        with (
            open(open_log(claim.run.log(claim.attempt)), "a", encoding="utf-8", buffering=1) as log,
            torch.random.fork_rng(devices=[]),
        ):
            files = AttemptFiles(claim)

            def stop() -> bool:
                return bool(interrupts) or heartbeat.stopped()

            told = execute(claim.run, claim.attempt, files, runtime, stop, log, sys.stderr)
    finally:
        heartbeat.ended.set()
        torch.set_num_threads(threads)
        if main:
            signal.signal(signal.SIGINT, before)
    if told["state"] is None:
        return None
    if told["state"] == State.PLANNED and interrupts:
        claim.end(State.PLANNED, "interrupted")
        raise KeyboardInterrupt
    if told["state"] == State.PLANNED:
        told |= {"state": State.CANCELLED if heartbeat.reason == CANCELLED else State.PLANNED, "end": heartbeat.reason}
    return close(claim, told)


class _Heartbeat(threading.Thread):
    """Beats a claim, and says when the run must stop: as a worker does for its child.

    Attributes:
        ended: set by the run when it has ended.
        reason: why it must stop.
    """

    def __init__(self, claim: Claim) -> None:
        super().__init__(daemon=True)
        self.ended, self.reason = threading.Event(), ""
        self._claim, self._beaten = claim, time.monotonic()

    def run(self) -> None:
        lease = self._claim.about["lease"]
        while not self.ended.wait(min(lease / 6, 5.0)):
            with contextlib.suppress(OSError):  # a file server that is away for a moment
                if self._claim.cancelled():
                    self.reason = CANCELLED
                if time.monotonic() - self._beaten <= lease / 2:
                    self._claim.beat()
                    self._beaten = time.monotonic()

    def stopped(self) -> bool:
        if time.monotonic() - self._beaten > self._claim.about["lease"] / 2:
            self.reason = "its process could not say for half the lease that it lives"
        return bool(self.reason)
