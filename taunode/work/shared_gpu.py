"""A GPU that several workers of one command share: whoever comes second looks whether there is memory for its run.

What a run needs is what one of the same command has used at its peak, once that has an epoch behind it. The first
worker of a GPU never waits, so that somebody always goes on.
"""

import contextlib
import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from taunode.runs.directory import RunDirectory
from taunode.runs.files import Unreadable, read_bytes

CONTEXT = 0.6e9  # bytes that CUDA and its libraries take of a GPU for each process, beside what torch allocates
MARGIN = 1.2  # of what was allocated: torch's allocator keeps more than is in use


def free_memory() -> int:
    """Bytes free on the first GPU that this process sees; asked in a process of its own, since one that has used a GPU
    cannot fork runs any more. 0 where it cannot be asked."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        with contextlib.suppress(BaseException):
            import torch

            os.write(writing, str(torch.cuda.mem_get_info()[0]).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return int(said or b"0")


@dataclass
class SharedGpu:
    """Where a worker waits until its GPU has room for one more run; used as `taunode.work.slots.Slots` are.

    Attributes:
        runs: of the command, whose peaks are looked at.
        place: of the worker among those of its GPU, from 0 on.
    """

    runs: Sequence[RunDirectory]
    place: int
    free: Callable[[], int] = free_memory

    def try_to_take(self) -> bool:
        if self.place == 0:
            return True
        peak = max((_peak(run) for run in self.runs), default=0.0)
        return peak > 0 and self.free() >= MARGIN * peak + CONTEXT

    def give_back(self) -> None:
        """Nothing is held: memory is free when its process has ended."""

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Nobody has to know."""
        yield


def _peak(run: RunDirectory) -> float:
    """Bytes that the newest attempt at a run has had at its peak; 0 before its first epoch has ended."""
    try:
        rows = list(csv.DictReader(io.StringIO(read_bytes(run.timings(run.attempts())).decode())))
        return max(float(row["peak_memory_mb"]) for row in rows) * 1e6
    except (Unreadable, OSError, ValueError, KeyError, TypeError, csv.Error):
        return 0.0
