"""The progress bar of a training on a terminal."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from taunode.training.metrics import Means
from taunode.training.progress import Report


class Bar(Report):
    """A progress bar over all epochs: epoch, loss, error, images/s, time left."""

    def __init__(self, console: Console, epochs: int, title: str) -> None:
        super().__init__(epochs)
        self._test, self._drawn = "", 0.0
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[text]}"))
        self._bar = Progress(*columns, console=console, auto_refresh=False)  # by no thread
        self._task = self._bar.add_task(title, total=epochs, text="")
        self._bar.start()

    def step(self, epoch: int, fraction: float, rate: float, means: Means) -> None:
        done = epoch + fraction
        left = self.left(done)
        if time.monotonic() - self._drawn > 0.2:
            self._drawn = time.monotonic()
            now = means.read()
            text = f"epoch {epoch + 1}/{self.epochs}  loss {now['loss']:.3f}  error {now['error']:.2f} %{self._test}"
            self._bar.update(self._task, completed=done, text=f"{text}  {rate:.0f} images/s  {left}")
            self._bar.refresh()

    def epoch(self, row: dict[str, Any], rate: float) -> None:
        self._test = f"  test error {row['test_error']:.2f} %"
        self._bar.update(self._task, completed=row["epoch"])
        self._bar.refresh()

    def close(self) -> None:
        super().close()
        self._bar.stop()
