"""How far a training is, for the person who watches it: plain lines; a bar on a terminal is in `bar`."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TextIO

from taunode.training.metrics import Means


def duration(seconds: float) -> str:
    """`7 s`, `3:05 min` or `2:03:05 h`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02} h"
    return f"{minutes}:{rest:02} min" if minutes else f"{rest} s"


class Report(ABC):
    """Is told of every step and every epoch of one training.

    Args:
        epochs: how many the training has in all.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self._since: tuple[float, float] | None = None  # (time, epochs done) when this process began

    @abstractmethod
    def step(self, epoch: int, fraction: float, rate: float, means: Means) -> None:
        """After a step: whole epochs done, fraction of the present one, images a second, the epoch's means so far."""

    @abstractmethod
    def epoch(self, row: dict[str, Any], rate: float) -> None:
        """After an epoch: its row of metrics.csv, and the images a second it trained on."""

    def close(self) -> None:
        """The training is over, whatever the reason."""
        self._since = None

    def left(self, done: float) -> str:
        """The time left, from the epochs this process has done so far."""
        now = time.monotonic()
        if self._since is None:
            self._since = now, done
        start, first = self._since
        return f"{duration((now - start) / (done - first) * (self.epochs - done))} left" if done > first else ""


class Lines(Report):
    """One line an epoch, and one a minute inside long epochs."""

    def __init__(self, file: TextIO, epochs: int) -> None:
        super().__init__(epochs)
        self._file, self._said = file, time.monotonic()

    def _say(self, *parts: str) -> None:
        self._said = time.monotonic()
        print("  ".join(part for part in parts if part), file=self._file, flush=True)

    def step(self, epoch: int, fraction: float, rate: float, means: Means) -> None:
        left = self.left(epoch + fraction)
        if time.monotonic() - self._said > 60:
            now = means.read()
            where = f"epoch {epoch + 1}/{self.epochs} at {100 * fraction:.0f} %"
            self._say(where, f"loss {now['loss']:.4f} error {now['error']:.2f} %", f"{rate:.0f} images/s", left)

    def epoch(self, row: dict[str, Any], rate: float) -> None:
        sets = [name.removesuffix("_loss") for name in row if name.endswith("_loss")]
        results = [_result(name, row) for name in sets]
        where = f"epoch {row['epoch']}/{self.epochs}"
        self._say(where, f"lr {row['lr']:g}", *results, f"{rate:.0f} images/s", self.left(row["epoch"]))


def _result(name: str, row: dict[str, Any]) -> str:
    text = f"{name} loss {row[f'{name}_loss']:.4f} error {row[f'{name}_error']:.2f} %"
    top5 = row.get(f"{name}_top5_error")
    return text if top5 is None else f"{text} top-5 {top5:.2f} %"


class Quiet(Report):
    """Says nothing: of several processes that train together, one speaks."""

    def step(self, epoch: int, fraction: float, rate: float, means: Means) -> None:
        """Nothing."""

    def epoch(self, row: dict[str, Any], rate: float) -> None:
        """Nothing."""


class Several(Report):
    """Tells several others."""

    def __init__(self, reports: Sequence[Report], epochs: int) -> None:
        super().__init__(epochs)
        self._reports = reports

    def step(self, epoch: int, fraction: float, rate: float, means: Means) -> None:
        for report in self._reports:
            report.step(epoch, fraction, rate, means)

    def epoch(self, row: dict[str, Any], rate: float) -> None:
        for report in self._reports:
            report.epoch(row, rate)

    def close(self) -> None:
        for report in self._reports:
            report.close()


def reports(log: TextIO, screen: TextIO | None, epochs: int, title: str) -> Report:
    """Lines in the log; and for a person who watches, a bar on a terminal, or the same lines elsewhere."""
    made: list[Report] = [Lines(log, epochs)]
    if screen is not None and screen.isatty():
        from rich.console import Console  # which nobody else needs

        from taunode.training.bar import Bar

        made.append(Bar(Console(file=screen), epochs, title))
    elif screen is not None:
        made.append(Lines(screen, epochs))
    return Several(made, epochs)
