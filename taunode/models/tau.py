"""The factor τ on a residual branch: τ = c·L^−β, with c the scale, β the exponent and L the number of blocks.

τ = 1/√L is the theorem of Zhang, Yu, Yi, Chen, Liu, "Convergence Theory of Learning Over-parameterized
ResNet: A Full Characterization" (arXiv 1903.07120); β = 1/4 and 0.4 are its explosion experiments. A rule
(`TauRule`) says where τ starts and whether it is then trained; `taunode.models.scale` applies it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from taunode.errors import BadInput


class TauRule(ABC):
    """Where τ starts in every residual block, and who trains it.

    `learn` says what is trained: nothing, one number shared by all blocks (whose gradient is the average
    over blocks), a number a block, or a number a block and channel. `lr_factor` (>= 0) multiplies the
    learning rate of a trained τ.
    """

    learn: Literal["none", "shared", "block", "channel"]
    lr_factor: float

    def counts(self, stages: Sequence[int]) -> int:
        """L of a network with `stages[s]` blocks in stage s: all of them, unless a rule counts otherwise."""
        return sum(stages)

    @abstractmethod
    def values(self, stages: Sequence[int]) -> list[float]:
        """τ of each residual block in order, for a network with `stages[s]` blocks in stage s.

        With `learn` "shared" all are equal. Raises BadInput for a τ that is not finite.
        """

    @abstractmethod
    def label(self) -> str:
        """The rule as tables and figures show it, made from its values."""


@dataclass(frozen=True)
class PowerLaw(TauRule):
    """τ = scale · L^−exponent in every block.

    L is the number of all residual blocks (`blocks` "total", paper: CIFAR), or of the stage that has most of
    them ("largest_stage", paper: ImageNet). Raises BadInput for a scale or lr_factor that is negative, and
    for any number that is not finite.
    """

    scale: float
    exponent: float
    blocks: Literal["total", "largest_stage"] = "total"
    learn: Literal["none", "shared", "block", "channel"] = "none"
    lr_factor: float = 0.1

    def __post_init__(self) -> None:
        for key, value in (("scale", self.scale), ("lr_factor", self.lr_factor)):
            if not (math.isfinite(value) and value >= 0):
                raise BadInput(f"tau.{key} must be a finite number >= 0, got {value}")
        if not math.isfinite(self.exponent):
            raise BadInput(f"tau.exponent must be a finite number, got {self.exponent}")

    def counts(self, stages: Sequence[int]) -> int:
        return sum(stages) if self.blocks == "total" else max(stages)

    def values(self, stages: Sequence[int]) -> list[float]:
        count = self.counts(stages)
        try:
            tau = self.scale * float(count) ** -self.exponent
        except OverflowError:
            tau = math.inf
        if not math.isfinite(tau):
            raise BadInput(
                f"tau = {_number(self.scale)}·{count}^{_number(-self.exponent)} is not finite: "
                f"tau.exponent must be larger or tau.scale smaller"
            )
        return [tau] * sum(stages)

    def label(self) -> str:
        """For example `1`, `L^-1/2`, `0.5·L^-0.4`, `2·L^-1/2 of the largest stage`, `L^-1/2 learned`."""
        text = _number(self.scale)
        if self.exponent != 0 and self.scale != 0:
            power = f"L^{_power(-self.exponent)}"
            text = power if self.scale == 1 else f"{text}·{power}"
            if self.blocks == "largest_stage":
                text += " of the largest stage"
        suffix = {
            "none": "",
            "shared": " learned",
            "block": " learned per block",
            "channel": " learned per channel",
        }
        return text + suffix[self.learn]


def _number(value: float) -> str:
    """Shortest text that reads back as the same number (two τ never share a label); 1.0 is `1`, -0.0 is `0`."""
    return repr(float(value) + 0.0).removesuffix(".0")


def _power(value: float) -> str:
    """The same, but as a fraction where one with a denominator up to 4 is exactly the value."""
    fraction = Fraction(value).limit_denominator(4)
    return str(fraction) if float(fraction) == value else _number(value)
