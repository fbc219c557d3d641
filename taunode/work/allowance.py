"""How many runs a worker may take, and until when: a task of a batch job has a share of the runs and a time limit."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from taunode.runs.directory import RunDirectory


@dataclass
class Allowance:
    """A worker's share.

    Attributes:
        runs: how many different runs it may take; one that was killed may be tried again.
        until: when its time is over, in seconds since 1970. No run begins when less is left than the longest took.
        taken: the runs it took → seconds.
        short: it has stopped for lack of time.
    """

    runs: float = math.inf
    until: float = math.inf
    taken: dict[str, float] = field(default_factory=dict)
    short: bool = False

    def allows(self, run: RunDirectory) -> bool:
        if self.taken and self.until - time.time() < max(self.taken.values()):
            self.short = True
            return False
        return str(run.path) in self.taken or len(self.taken) < self.runs

    @contextmanager
    def taking(self, run: RunDirectory) -> Iterator[None]:
        """While it executes a run."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.taken[str(run.path)] = self.taken.get(str(run.path), 0.0) + time.monotonic() - began
