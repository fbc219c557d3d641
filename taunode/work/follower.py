"""The worker of a process that follows: it trains what the leader announces, and leaves all writing to it."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from taunode.runs.directory import RunDirectory
from taunode.runs.provenance import host
from taunode.runs.runtime import Runtime
from taunode.runs.state import BROKEN
from taunode.work.child import start_child
from taunode.work.member import Channel
from taunode.work.signals import Signals
from taunode.work.worker import how_it_ended

GRACE = 10.0  # seconds for a child to end after the leader's has


def follow(channel: Channel) -> int:
    """Train with the leader, run after run, until it says that all is over; returns the exit code it says.

    Raises:
        RuntimeError: the leader has gone without a word.
    """
    import taunode.work.attempt  # noqa: F401 -- torch, once: every child is a fork of this process

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
    member = channel.present()

    def in_child(stop: Callable[[], bool], log: TextIO, screen: TextIO | None) -> dict[str, Any]:
        from taunode.work import attempt as module

        return module.execute(run, attempt, module.NoFiles(), runtime, stop, log, screen, member)

    child, reading = start_child(in_child, run, attempt, signals.received, None)
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
