"""The worker of a process that follows: it trains what the leader announces, and leaves all writing to it."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from taunode.runs.child import start_child
from taunode.runs.directory import RunDirectory
from taunode.runs.member import Channel
from taunode.runs.provenance import host
from taunode.runs.runtime import Runtime
from taunode.runs.state import BROKEN
from taunode.runs.worker import Signals, how_it_ended

GRACE = 10.0  # seconds for a child to end after the leader's has


def follow(channel: Channel) -> int:
    """Train with the leader, run after run, until it says that all is over; returns the exit code it says.

    Raises:
        RuntimeError: the leader has gone without a word.
    """
    import taunode.runs.execute  # noqa: F401 -- torch, once: every child is a fork of this process

    signals = Signals()
    signals.install()
    while "over" not in (word := channel.next()):
        run, attempt, runtime = RunDirectory(Path(word["run"])), word["attempt"], Runtime(**word["runtime"])
        told = _train(run, attempt, runtime, channel, signals)
        if told is not None and (told.get("killed") or told["state"] in BROKEN):
            share = channel.member.share
            told["end"] += f" (process {share.rank} of {share.world}, on {host()['host']})"
            channel.complain(told)
    return int(word["over"])


def _train(
    run: RunDirectory, attempt: int, runtime: Runtime, channel: Channel, signals: Signals
) -> dict[str, Any] | None:
    """How the child ended; None where it was still there after the leader's had gone, and was killed."""
    seat = channel.seat()

    def execute(stop: Callable[[], bool], log: TextIO, screen: TextIO | None) -> dict[str, Any]:
        from taunode.runs import execute

        return execute.execute(run, attempt, execute.NoFiles(), runtime, stop, log, screen, seat)

    child, reading = start_child(execute, run, attempt, signals.received, None)
    signals.child = child
    try:
        over: float | None = None  # since when the leader's child has gone
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return how_it_ended(status, os.read(reading, 65536), signals)
            if over is None and channel.heard():
                over = time.monotonic()
            if over is not None and time.monotonic() - over > GRACE:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return None
            time.sleep(0.05)
    finally:
        signals.child = None
        os.close(reading)
