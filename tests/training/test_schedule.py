"""The learning rate's course, as He et al. and Zhang et al. write it."""

import math
from typing import Any

import pytest

from taunode.errors import BadInput
from taunode.training.schedule import Constant, Cosine, Initialisation, Schedule, WarmupStableDecay
from training.small import steps

SHARED: dict[str, Any] = {"epochs": 10, "batch_size": 8, "lr": 2.0, "warmup_epochs": 0.0}


def cosine(**changes: Any) -> Cosine:
    return Cosine(**{**SHARED, "floor": 0.0, **changes})


def wsd(**changes: Any) -> WarmupStableDecay:
    return WarmupStableDecay(**{**SHARED, "decay": 0.2, "course": "linear", "floor": 0.0, **changes})


def constant(**changes: Any) -> Constant:
    return Constant(**{**SHARED, **changes})


def course(schedule: Schedule, of: int = 10) -> list[float]:
    """The rates of all steps, of which an epoch has so many."""
    return [rate(schedule, epoch, step, of) for epoch in range(1, schedule.epochs + 1) for step in range(1, of + 1)]


def rate(schedule: Any, epoch: int, step: int = 1, of: int = 10) -> float:
    """Of a step (from 1) in an epoch (from 1), as the loop asks."""
    return schedule.rate(epoch - 1 + (step - 1) / of, epoch - 1 + step / of)


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


def test_constant_is_constant() -> None:
    assert set(course(constant())) == {2.0}


def test_cosine_is_half_a_cosine_from_the_first_step_on() -> None:
    assert course(cosine()) == pytest.approx([1 + math.cos(math.pi * step / 100) for step in range(100)])
    assert course(cosine(floor=0.25)) == pytest.approx([1.25 + 0.75 * math.cos(math.pi * k / 100) for k in range(100)])
    assert course(cosine())[-1] > 0  # no step is for nothing


def test_cosine_begins_where_the_warm_up_ends() -> None:
    rates = course(cosine(warmup_epochs=4))
    assert rates[:40] == pytest.approx([2 * step / 40 for step in range(1, 41)])
    assert rates[40:] == pytest.approx([1 + math.cos(math.pi * step / 60) for step in range(60)])


@pytest.mark.parametrize(("line", "shape"), [("linear", lambda way: 1 - way), ("sqrt", lambda way: 1 - math.sqrt(way))])
def test_warm_up_stable_decay(line: Any, shape: Any) -> None:
    rates = course(wsd(warmup_epochs=1, decay=0.3, course=line, floor=0.5))
    assert rates[:10] == pytest.approx([2 * step / 10 for step in range(1, 11)])
    assert set(rates[10:70]) == {2.0}
    assert rates[70:] == pytest.approx([1 + shape(step / 30) for step in range(30)])


def test_a_decay_of_nothing_or_of_everything() -> None:
    assert set(course(wsd(decay=0.0))) == {2.0}
    assert course(wsd(decay=1.0)) == pytest.approx([2 * (1 - step / 100) for step in range(100)])


@pytest.mark.parametrize("make", [constant, cosine, wsd, lambda **changes: steps(milestones=[2], **changes)])
@pytest.mark.parametrize("warmup", [0.0, 0.3, 2.5, 10.0, 50.0])
def test_a_rate_is_from_none_to_all_of_lr_and_the_warm_up_may_be_longer_than_the_training(
    make: Any, warmup: Any
) -> None:
    schedule = make(warmup_epochs=warmup)
    assert all(0 < value <= schedule.lr for value in course(schedule, of=7))
    assert course(schedule)[0] <= min(schedule.lr, schedule.lr * 0.1 / max(warmup, 1e-9)) + 1e-12


@pytest.mark.parametrize(
    ("make", "key", "value"),
    [
        (cosine, "floor", 1.5),
        (cosine, "floor", math.nan),
        (wsd, "floor", -0.1),
        (wsd, "decay", 1.1),
        (wsd, "decay", -1.0),
    ],
)
def test_what_is_no_part_is_refused(make: Any, key: str, value: float) -> None:
    with pytest.raises(BadInput, match=rf"schedule\.{key} must be from 0 to 1, got {value}"):
        make(**{key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("lr", -0.1),
        ("lr", math.inf),
        ("lr", math.nan),
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
