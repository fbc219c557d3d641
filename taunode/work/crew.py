"""A crew: worker processes side by side, forks of one process that has torch imported and passes its signals on."""

import contextlib
import os
import signal
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from taunode.orphan import die_with
from taunode.work.signals import Signals, stopping

BROKE = 1  # the exit code of a worker that raised
PAUSE = 0.05  # seconds between two looks at the workers


@dataclass
class Crew:
    """Worker processes, each at a place from 0 on.

    Attributes:
        serve: what the worker at a place does, with the signals it hears; returns its exit code.
        replace: whether a worker is replaced that ended with this exit code (−n: by signal n) after so many seconds;
            none is once a signal has said stop.
        own_groups: each worker is a process group of its own, so that Ctrl-C reaches it once, through this process.
        received: the signals that this process has heard.
    """

    serve: Callable[[int, Signals], int]
    replace: Callable[[int, float], bool]
    own_groups: bool = False
    received: list[signal.Signals] = field(default_factory=list)
    _workers: dict[int, tuple[int, float]] = field(default_factory=dict)  # process id → place, since when

    def run(self, count: int, meanwhile: Callable[[], object] = lambda: None) -> list[int]:
        """Start `count` workers and wait for them; returns their exit codes (128 + n where signal n killed one)."""
        before = {number: signal.signal(number, self._pass_on) for number in stopping()}
        codes = []
        try:
            import taunode.work.attempt  # noqa: F401 -- torch, once: the workers and their children are forks of this

            for place in range(count):
                self._start(place)
            while self._workers:
                codes += self._reap()
                meanwhile()
                time.sleep(PAUSE)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return codes

    def _start(self, place: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        heard = stopping()
        signal.pthread_sigmask(signal.SIG_BLOCK, heard)  # until the worker is known here, and has handlers there
        pid = os.fork()
        if pid == 0:
            self._be_a_worker(place, parent)
        self._workers[pid] = (place, time.monotonic())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)

    def _be_a_worker(self, place: int, parent: int) -> NoReturn:
        code = BROKE
        try:
            signals = Signals(list(self.received))  # heard while torch was imported
            signals.install()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping())
            if self.own_groups:
                os.setpgid(0, 0)
            die_with(parent, signal.SIGTERM)  # a dead parent means stop and save
            code = self.serve(place, signals)
        except Exception:
            import traceback

            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> list[int]:
        """Replace those that died, or return their exit codes."""
        codes = []
        for pid, (place, since) in list(self._workers.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._workers[pid]
                code = os.waitstatus_to_exitcode(status)
                if not self.received and self.replace(code, time.monotonic() - since):
                    self._start(place)
                else:
                    codes.append(code if code >= 0 else 128 - code)
        return codes

    def _pass_on(self, number: int, frame: types.FrameType | None) -> None:
        self.received.append(signal.Signals(number))
        for pid in self._workers:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, number)
