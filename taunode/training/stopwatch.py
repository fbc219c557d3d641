"""How long a training takes, over all the attempts it needed."""

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from taunode.training.checkpoint import Training

Cost = Callable[[float, float], dict[str, float | None]]  # (images a second, seconds so far) → more of a row


class Stopwatch:
    """Adds the time of this process to a training's clock, and knows how much work is not saved yet."""

    def __init__(self, training: Training, cost: Cost | None = None) -> None:
        self._training, self._cost = training, cost
        self._lap = self._saved = self._epoch = time.monotonic()
        self.images = 0  # of the present epoch, in this process

    def rate(self) -> float:
        """Training images a second in the present epoch."""
        return self.images / max(time.monotonic() - self._epoch, 1e-9)

    def lap(self) -> None:
        now = time.monotonic()
        self._training.seconds += now - self._lap
        self._training.epoch_seconds += now - self._lap
        self._lap = now

    def row(self, rate: float) -> dict[str, Any]:
        """The row of timings.csv for an epoch that is over; the next one begins."""
        self.lap()
        row: dict[str, Any] = {
            "epoch": self._training.epoch,
            "seconds": round(self._training.epoch_seconds, 4),
            "images_per_second": round(rate, 1),
            "peak_memory_mb": round(peak_memory() / 10**6, 1),
        }
        if self._cost is not None:
            row |= self._cost(rate, self._training.seconds)
            self._lap = time.monotonic()  # what that took is not the training's
        self._training.epoch_seconds, self.images, self._epoch = 0.0, 0, self._lap
        return row

    def unsaved(self) -> float:
        """Seconds of work that would be lost if the process died now."""
        return time.monotonic() - self._saved

    def saved(self) -> None:
        self._saved = time.monotonic()


def peak_memory() -> int:
    """Bytes: of the GPU where one is used, else of this process."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
