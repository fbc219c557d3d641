"""What a person sees of a training: a line an epoch, or a bar on a terminal."""

import io

import pytest
import torch
from rich.console import Console

from taunode.training import progress
from taunode.training.bar import Bar
from taunode.training.metrics import Means
from taunode.training.progress import Lines, duration, reports

ROW = {
    "epoch": 2,
    "lr": 0.01,
    "train_loss": 1.5,
    "train_error": 50.0,
    "test_loss": 2.0,
    "test_error": 62.5,
    "validation_loss": 2.1,
    "validation_error": 60.0,
    "tau": 0.3,
}


def means() -> Means:
    made = Means(torch.device("cpu"))
    losses, logits, labels = torch.tensor([1.0, 3.0]), torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])
    made.add(made.sums(losses, logits, labels))
    return made


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (7.0, "7 s"), (59.6, "1:00 min"), (185.0, "3:05 min"), (3600.0, "1:00:00 h"), (7385.0, "2:03:05 h")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_epoch_is_one_line_with_every_set_and_the_time_left(clock: Clock) -> None:
    file = io.StringIO()
    lines = Lines(file, epochs=10)
    lines.step(0, 0.5, 100.0, means())
    clock.now += 30
    lines.epoch(ROW, 123.4)
    (line,) = file.getvalue().splitlines()
    assert line == (
        "epoch 2/10  lr 0.01  train loss 1.5000 error 50.00 %  test loss 2.0000 error 62.50 %  "
        "validation loss 2.1000 error 60.00 %  123 images/s  2:40 min left"
    )


def test_inside_a_long_epoch_there_is_a_line_a_minute(clock: Clock) -> None:
    file = io.StringIO()
    lines = Lines(file, epochs=4)
    for second in range(151):
        clock.now = 1000.0 + second
        lines.step(1, second / 200, 100.0, means())
    first, second_ = file.getvalue().splitlines()
    assert first.startswith("epoch 2/4 at 30 %  loss 2.0000 error 50.00 %  100 images/s")
    assert second_.startswith("epoch 2/4 at 61 %")


def test_the_time_left_counts_what_this_process_has_done(clock: Clock) -> None:
    """A run that goes on from epoch 90 of 100 has not done 90 epochs in a second."""
    lines = Lines(io.StringIO(), epochs=100)
    assert lines.left(90.0) == ""
    clock.now += 10
    assert lines.left(91.0) == "1:30 min left"


def test_a_terminal_has_a_bar_and_a_file_has_lines() -> None:
    log, screen = io.StringIO(), io.StringIO()
    shown = reports(log, screen, 10, "a run")
    shown.step(0, 0.5, 100.0, means())
    shown.epoch(ROW, 100.0)
    shown.close()
    assert log.getvalue() == screen.getvalue() != ""

    drawn = io.StringIO()
    bar = Bar(Console(file=drawn, force_terminal=True, width=100), 10, "a run")
    bar.step(1, 0.5, 100.0, means())
    bar.epoch(ROW, 100.0)
    bar.close()
    assert "a run" in drawn.getvalue()
    assert "epoch 2/10" in drawn.getvalue()
