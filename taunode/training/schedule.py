"""The schedule: how long, in what batches and at which learning rate a network is trained by SGD, if at all."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

from taunode.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """What every schedule says; a member adds the learning rate's course.

    Attributes:
        epochs: passes over the training set, at least 1.
        batch_size: samples a step; a last partial batch is kept.
        lr: the base learning rate.
        momentum: of SGD, in [0, 1).
        weight_decay: L2 penalty on every parameter.
    """

    epochs: int
    batch_size: int
    lr: float
    momentum: float
    weight_decay: float

    def __post_init__(self) -> None:
        for name, low in (("epochs", 1), ("batch_size", 1)):
            if getattr(self, name) < low:
                raise BadInput(f"schedule.{name} must be at least {low}, got {getattr(self, name)}")
        for name in ("lr", "momentum", "weight_decay"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise BadInput(f"schedule.{name} must be a finite number >= 0, got {value}")
        if self.momentum >= 1:
            raise BadInput(f"schedule.momentum must be below 1, got {self.momentum}")

    @abstractmethod
    def rate(self, epoch: int, fraction: float) -> float:
        """The learning rate of a step, `fraction` in (0, 1] of an epoch after `epoch` whole ones once it is done."""


@final
@dataclass(frozen=True, kw_only=True)
class Steps(Schedule):
    """lr·factorᵏ, where k of the milestones lie behind; the first `warmup_epochs` rise linearly to it.

    `milestones: [100, 150]` trains epochs 1 to 100 at lr, 101 to 150 at lr·factor, the rest at lr·factor².
    The warm-up is part of this one formula: chained schedulers can keep the warm-up rate for ever.
    """

    milestones: list[int]
    factor: float
    warmup_epochs: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if sorted(self.milestones) != self.milestones:
            raise BadInput(f"schedule.milestones must rise, got {self.milestones}")
        for name in ("factor", "warmup_epochs"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0:
                raise BadInput(f"schedule.{name} must be a finite number >= 0, got {value}")

    def rate(self, epoch: int, fraction: float) -> float:
        rate = self.lr * self.factor ** sum(epoch >= milestone for milestone in self.milestones)
        if self.warmup_epochs > 0:
            rate *= min(1.0, (epoch + fraction) / self.warmup_epochs)
        return rate


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
