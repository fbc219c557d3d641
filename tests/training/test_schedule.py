"""The learning rate's course, as He et al. and Zhang et al. write it."""

import math
from typing import Any

import pytest

from taunode.errors import BadInput
from taunode.training.schedule import Initialisation
from training.small import steps


def rate(schedule: Any, epoch: int, step: int = 1, of: int = 10) -> float:
    """Of a step (from 1) in an epoch (from 1), as the loop asks."""
    return schedule.rate(epoch - 1, step / of)


def test_200_epochs_divided_at_100_and_150() -> None:
    schedule = steps(epochs=200, lr=0.1, milestones=[100, 150], factor=0.1, warmup_epochs=0)
    for first, last, value in ((1, 100, 0.1), (101, 150, 0.01), (151, 200, 0.001)):
        for epoch in (first, last):
            for step in (1, 10):
                assert rate(schedule, epoch, step) == pytest.approx(value, rel=1e-12)


def test_warm_up_rises_by_the_same_amount_every_step_to_the_full_rate() -> None:
    schedule = steps(lr=0.1, milestones=[100], warmup_epochs=2)
    rates = [rate(schedule, epoch, step) for epoch in (1, 2) for step in range(1, 11)]
    assert rates == pytest.approx([0.1 * step / 20 for step in range(1, 21)])
    assert rate(schedule, 3) == 0.1


def test_warm_up_and_milestones_are_one_formula() -> None:
    """A milestone inside the warm-up lowers what it rises to; chained schedulers get this wrong."""
    schedule = steps(lr=1.0, milestones=[1], factor=0.1, warmup_epochs=4)
    assert rate(schedule, 1, 10) == pytest.approx(0.25)
    assert rate(schedule, 2, 10) == pytest.approx(0.05)
    assert rate(schedule, 5) == pytest.approx(0.1)


def test_a_warm_up_may_end_inside_an_epoch() -> None:
    schedule = steps(lr=1.0, milestones=[], warmup_epochs=0.5)
    assert [rate(schedule, 1, step) for step in (1, 5, 6, 10)] == pytest.approx([0.2, 1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("lr", -0.1),
        ("lr", math.inf),
        ("momentum", 1.0),
        ("weight_decay", math.nan),
        ("milestones", [3, 2]),
        ("factor", -1.0),
        ("warmup_epochs", -1.0),
    ],
)
def test_what_cannot_be_is_refused_with_key_and_value(key: str, value: Any) -> None:
    with pytest.raises(BadInput) as caught:
        steps(**{key: value})
    assert f"schedule.{key}" in str(caught.value)
    assert str(value) in str(caught.value)


def test_without_training_there_is_still_a_batch() -> None:
    assert Initialisation(batch_size=4).epochs == 0
    with pytest.raises(BadInput, match=r"schedule\.batch_size must be at least 1, got 0"):
        Initialisation(batch_size=0)
