"""What a worker was told from outside: its signals, which it passes on to the child that executes the run."""

import contextlib
import os
import signal
import types
from collections.abc import Iterator
from dataclasses import dataclass, field

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


def stopping() -> list[signal.Signals]:
    """What this process listens to: under nohup a closed terminal is ignored."""
    return [one for one in STOPPING if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]


@dataclass
class Signals:
    """What this worker was told; passed on to the child, which then writes a checkpoint and ends.

    A second Ctrl-C does not wait for that.
    """

    received: list[signal.Signals] = field(default_factory=list)
    child: int | None = None

    def install(self) -> None:
        """Hear them for as long as this process lives."""
        for number in stopping():
            signal.signal(number, self._hear)

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Hear them for a while: whoever goes on in this process hears them as before."""
        before = {number: signal.getsignal(number) for number in stopping()}
        self.install()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: types.FrameType | None) -> None:
        self.received.append(signal.Signals(number))
        hard = self.received.count(signal.SIGINT) > 1
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL if hard else signal.SIGTERM)
