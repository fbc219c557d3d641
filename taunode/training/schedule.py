"""The schedule: how long, in what batches and at which learning rate a network is trained, if at all.

A learning rate is lr · warm-up · shape. Time is counted in epochs: a step is a part of one, and knows the time at which
it begins and the one at which it ends.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from taunode.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """What every schedule says; a member adds the shape of the learning rate's course.

    Attributes:
        epochs: passes over the training set, at least 1.
        batch_size: samples a step; a last partial batch is kept.
        lr: the base learning rate.
        warmup_epochs: for so long the rate rises linearly to its course; it is part of the one formula, because
            chained schedulers can keep the warm-up rate for ever.
    """

    epochs: int
    batch_size: int
    lr: float
    warmup_epochs: float

    def __post_init__(self) -> None:
        for name, low in (("epochs", 1), ("batch_size", 1)):
            if getattr(self, name) < low:
                raise BadInput(f"schedule.{name} must be at least {low}, got {getattr(self, name)}")
        _check_numbers(self, "lr", "warmup_epochs")

    @abstractmethod
    def shape(self, time: float) -> float:
        """The part of `lr` that a step has which begins after so many epochs: 0 <= time < epochs."""

    @final
    def rate(self, begin: float, end: float) -> float:
        """The learning rate of a step that takes the training from `begin` to `end`, in epochs."""
        rate = self.lr * self.shape(begin)
        return rate * min(1.0, end / self.warmup_epochs) if self.warmup_epochs > 0 else rate

    @final
    def after_warmup(self, time: float) -> float:
        """How far a time is between the warm-up's end, 0, and the training's, 1."""
        rest = self.epochs - self.warmup_epochs
        return min(1.0, max(0.0, (time - self.warmup_epochs) / rest)) if rest > 0 else 0.0


@final
@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """lr."""

    def shape(self, time: float) -> float:
        return 1.0


@final
@dataclass(frozen=True, kw_only=True)
class Steps(Schedule):
    """lr·factorᵏ, where k of the milestones lie behind.

    `milestones: [100, 150]` trains epochs 1 to 100 at lr, 101 to 150 at lr·factor, the rest at lr·factor².
    """

    milestones: list[int]
    factor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if sorted(self.milestones) != self.milestones:
            raise BadInput(f"schedule.milestones must rise, got {self.milestones}")
        _check_numbers(self, "factor")

    def shape(self, time: float) -> float:
        return self.factor ** sum(time >= milestone for milestone in self.milestones)


@final
@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """Half a cosine from lr after the warm-up to `floor`·lr: Loshchilov, Hutter, arXiv 1608.03983, without restarts."""

    floor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_part(self, "floor")

    def shape(self, time: float) -> float:
        fallen = (1 - math.cos(math.pi * self.after_warmup(time))) / 2
        return 1 - (1 - self.floor) * fallen


@final
@dataclass(frozen=True, kw_only=True)
class WarmupStableDecay(Schedule):
    """lr after the warm-up; over the last `decay` of the epochs it falls to `floor`·lr: Hu et al., arXiv 2404.06395.

    `course` is a straight line, or 1 − √ of the way, which Hägele et al., arXiv 2405.18392, find to end lower.
    """

    decay: float
    course: Literal["linear", "sqrt"]
    floor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_part(self, "decay")
        _check_part(self, "floor")

    def shape(self, time: float) -> float:
        length = self.decay * self.epochs
        fallen = max(0.0, (time - (self.epochs - length)) / length) if length > 0 else 0.0
        return 1 - (1 - self.floor) * (math.sqrt(fallen) if self.course == "sqrt" else fallen)


@final
@dataclass(frozen=True, kw_only=True)
class Initialisation:
    """No training: features and gradients of the network as it was drawn (`taunode.training.stability`).

    Attributes:
        batch_size: random images that they are measured with, at least 1.
    """

    epochs: ClassVar[int] = 0
    batch_size: int

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise BadInput(f"schedule.batch_size must be at least 1, got {self.batch_size}")


def _check_numbers(schedule: Schedule, *names: str) -> None:
    for name in names:
        value = getattr(schedule, name)
        if not math.isfinite(value) or value < 0:
            raise BadInput(f"schedule.{name} must be a finite number >= 0, got {value}")


def _check_part(schedule: Schedule, name: str) -> None:
    if not 0 <= getattr(schedule, name) <= 1:
        raise BadInput(f"schedule.{name} must be from 0 to 1, got {getattr(schedule, name)}")
