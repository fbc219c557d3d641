"""The factor τ on a residual branch: τ = c·L^−β, with c the scale, β the exponent and L the number of blocks.

τ = 1/√L is the theorem of Zhang, Yu, Yi, Chen, Liu, "Convergence Theory of Learning Over-parameterized
ResNet: A Full Characterization" (arXiv 1903.07120); β = 1/4 and 0.4 are its explosion experiments. A rule
(`TauRule`) says where τ starts and whether it is then trained; `taunode.models.scale` applies it. No torch here:
freezing a configuration asks the rules.
"""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any, Literal, final

from taunode.errors import BadInput

Learn = Literal["none", "shared", "block", "channel"]
LONGEST_LABEL = 40  # characters, of tables' columns
WORDS: dict[Learn, str] = {
    "none": "",
    "shared": " learned",
    "block": " learned per block",
    "channel": " learned per channel",
}


class TauRule(ABC):
    """Where τ starts in every residual block, and who trains it.

    `learn` says what is trained: nothing, one number shared by all blocks (whose gradient is the average
    over blocks), a number a block, or a number a block and channel. `lr_factor` (>= 0) multiplies the
    learning rate of a trained τ.
    """

    learn: Learn
    lr_factor: float

    @classmethod
    def automatic(cls, normalised: bool) -> Learn:
        """What `learn: auto` is in a network with or without normalisation: as in the paper, shared without it."""
        return "none" if normalised else "shared"

    @final
    @classmethod
    def completed(cls, values: Mapping[str, Any], arch: Mapping[str, Any]) -> dict[str, Any]:
        """The configured values of a rule with nothing left open for the network that `arch` configures."""
        if values.get("learn") != "auto":
            return dict(values)
        return {**values, "learn": cls.automatic(normalised=arch.get("norm") != "none")}

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

    @final
    def is_inverse_sqrt(self) -> bool:
        """Whether τ = c/√L in all blocks alike, with one c > 0 for every depth: it halves as L goes from 1 to 4."""
        try:
            one, *four = self.values([1]) + self.values([4])
        except BadInput:  # a rule for one network
            return False
        return one > 0 and all(math.isclose(tau, one / 2) for tau in four)

    @final
    def facts(self, stages: Sequence[int]) -> dict[str, Any]:
        """What tables say: `tau`, the label; `blocks`, L; `tau_value`, where τ starts if in all blocks alike."""
        values = set(self.values(stages))
        single = {"tau_value": values.pop()} if len(values) == 1 else {}
        return {"tau": self.label(), "blocks": self.counts(stages), **single}


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
    learn: Learn = "none"
    lr_factor: float = 0.1

    def __post_init__(self) -> None:
        _check(("scale", self.scale), ("lr_factor", self.lr_factor), exponents=(("exponent", self.exponent),))

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
        return text + WORDS[self.learn]


BlockLearn = Literal["none", "block", "channel"]


class BlockwiseRule(TauRule):
    """A rule whose τ differs from block to block, so that blocks cannot share a learned one."""

    learn: BlockLearn

    @classmethod
    def automatic(cls, normalised: bool) -> Learn:
        return "none" if normalised else "block"


@final
@dataclass(frozen=True)
class Decreasing(BlockwiseRule):
    """τ_l = scale · l^−exponent · ln(l+1)^−log_exponent in block l = 1, …, L, whatever L.

    With exponent 1/2 and log_exponent 1 the squares have a finite sum: Hayou, Clerico, He, Deligiannidis, Doucet,
    Rousseau, "Stable ResNet" (arXiv 2010.12859). Raises BadInput as `PowerLaw` does.
    """

    scale: float
    exponent: float
    log_exponent: float
    learn: BlockLearn = "none"
    lr_factor: float = 0.1

    def __post_init__(self) -> None:
        exponents = (("exponent", self.exponent), ("log_exponent", self.log_exponent))
        _check(("scale", self.scale), ("lr_factor", self.lr_factor), exponents=exponents)

    def values(self, stages: Sequence[int]) -> list[float]:
        try:
            found = [
                self.scale * float(block) ** -self.exponent * math.log(block + 1) ** -self.log_exponent
                for block in range(1, sum(stages) + 1)
            ]
        except OverflowError:
            found = [math.inf]
        if not all(map(math.isfinite, found)):
            raise BadInput(f"tau is not finite in all of {sum(stages)} blocks: tau's exponents must be larger")
        return found

    def label(self) -> str:
        """For example `l^-1/2·ln(l+1)^-1`, `0.5·l^-1`, `l^-1 learned per block`."""
        parts = [_number(self.scale)] if self.scale != 1 else []
        parts += [
            f"{base}^{_power(-exponent)}"
            for base, exponent in (("l", self.exponent), ("ln(l+1)", self.log_exponent))
            if exponent != 0 and self.scale != 0
        ]
        return ("·".join(parts) or "1") + WORDS[self.learn]


@final
@dataclass(frozen=True)
class Listed(BlockwiseRule):
    """τ of every block, one after another as written down; raises BadInput for negative ones and for another count."""

    each: list[float]
    learn: BlockLearn = "none"
    lr_factor: float = 0.1

    def __post_init__(self) -> None:
        _check(*((f"each[{place}]", tau) for place, tau in enumerate(self.each)), ("lr_factor", self.lr_factor))

    def values(self, stages: Sequence[int]) -> list[float]:
        if len(self.each) != sum(stages):
            raise BadInput(f"tau.each has {len(self.each)} numbers, the network {sum(stages)} blocks")
        return list(self.each)

    def label(self) -> str:
        """Runs of equal numbers, `1×18 0.5×36`; of many, a hash tells them apart: `54 values 3f2a91c0`."""
        runs = [(tau, len(list(equal))) for tau, equal in groupby(self.each)]
        text = " ".join(_number(tau) + (f"×{count}" if count > 1 else "") for tau, count in runs)
        if len(text) > LONGEST_LABEL:
            text = f"{len(self.each)} values {hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"
        return text + WORDS[self.learn]


def _check(*numbers: tuple[str, float], exponents: Sequence[tuple[str, float]] = ()) -> None:
    """Refuse a number that is negative or not finite, and an exponent that is not finite."""
    for key, value in numbers:
        if not (math.isfinite(value) and value >= 0):
            raise BadInput(f"tau.{key} must be a finite number >= 0, got {value}")
    for key, value in exponents:
        if not math.isfinite(value):
            raise BadInput(f"tau.{key} must be a finite number, got {value}")


def _number(value: float) -> str:
    """Shortest text that reads back as the same number (two τ never share a label); 1.0 is `1`, -0.0 is `0`."""
    return repr(float(value) + 0.0).removesuffix(".0")


def _power(value: float) -> str:
    """The same, but as a fraction where one with a denominator up to 4 is exactly the value."""
    fraction = Fraction(value).limit_denominator(4)
    return str(fraction) if float(fraction) == value else _number(value)
