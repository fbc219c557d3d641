"""A run in this process: for notebooks and debuggers, where the worker's child process would be in the way."""

import contextlib
import signal
import sys
import threading

from taunode.runs.claim import Claim
from taunode.runs.files import open_log
from taunode.runs.state import State
from taunode.work.assignment import Assignment
from taunode.work.worker import close, runtime_of, take_run


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
    ended = threading.Event()
    heartbeat = threading.Thread(target=_beat, args=(claim, ended), daemon=True)
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
            told = execute(claim.run, claim.attempt, files, runtime, lambda: bool(interrupts), log, sys.stderr)
    finally:
        ended.set()
        torch.set_num_threads(threads)
        if main:
            signal.signal(signal.SIGINT, before)
    if told["state"] is None:
        return None
    if interrupts and told["state"] == State.PLANNED:
        claim.end(State.PLANNED, "interrupted")
        raise KeyboardInterrupt
    return close(claim, told)


def _beat(claim: Claim, ended: threading.Event) -> None:
    while not ended.wait(claim.about["lease"] / 6):
        with contextlib.suppress(OSError):  # a file server that is away for a moment
            claim.beat()
