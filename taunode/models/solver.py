"""Solvers of dz/dt = v(t, z) on [0, 1], z(0) given: fixed steps by a tableau of our own, adaptive ones by torchdiffeq.

Chen, Rubanova, Bettencourt, Duvenaud, "Neural Ordinary Differential Equations" (arXiv 1806.07366): with `adjoint`
the gradient comes from a second equation, solved backwards by the same method, and memory does not grow with the steps.
It is the gradient of the exact flow, not of the steps taken, so it differs from backpropagation by the solver's error;
torchdiffeq solves it, with the methods that it has. No torch where it is not used: freezing asks these classes.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, final

from taunode.errors import BadInput
from taunode.models.tableau import TABLEAUS, Tableau

if TYPE_CHECKING:
    from torch import Tensor, nn

THEIRS = {"euler": "euler", "midpoint": "midpoint", "heun": "heun2", "heun3": "heun3", "rk4": "rk4"}  # in torchdiffeq


class StepUnderflow(ArithmeticError):  # noqa: N818 -- ends a run as diverged, which is a result
    """An adaptive solver needs steps too small to change the time, or its state is not finite; it got to `time`."""

    def __init__(self, time: float) -> None:
        super().__init__(f"the solver's step underflows at t = {time:.6g}")
        self.time = time


class Solver(ABC):
    """Carries a state along a vector field from time 0 to time 1."""

    @classmethod
    def completed(cls, values: Mapping[str, Any], arch: Mapping[str, Any]) -> dict[str, Any]:
        """The configured values with nothing left open."""
        return dict(values)

    @abstractmethod
    def evaluations(self, steps: int) -> int | None:
        """Of the field in a forward pass, where there are none in the backward pass; None: they must be counted."""

    @abstractmethod
    def solve(self, field: "nn.Module", z: "Tensor", steps: int) -> "Tensor":
        """The state at time 1, of z's shape.

        Args:
            field: v, called with a time, a float or a tensor of shape (), and a state; where it has kinks is the
                solver's business only if it keeps to the multiples of 1/steps. The adjoint gives gradients to its
                parameters and to z, to nothing else.
            z: the state at time 0.
            steps: into how many equal intervals [0, 1] is divided.

        Raises:
            StepUnderflow: adaptive steps became too small, in the backward pass too.
        """


@final
@dataclass(frozen=True, kw_only=True)
class FixedSolver(Solver):
    """One step an interval, with 1 to 4 evaluations of the field; `rk4` is Kutta's 3/8 rule.

    Attributes:
        adjoint: take the gradient from the adjoint equation instead of backpropagation through the steps. Raises
            BadInput for a method that torchdiffeq does not have.
    """

    method: Literal["euler", "midpoint", "heun", "ralston", "heun3", "rk4", "rk4_classical"]
    adjoint: bool

    def __post_init__(self) -> None:
        if self.adjoint and self.method not in THEIRS:
            raise BadInput(
                f"solver.adjoint: the adjoint equation is solved by {', '.join(THEIRS)}, not by {self.method}"
            )

    def evaluations(self, steps: int) -> int | None:
        return None if self.adjoint else steps * len(TABLEAUS[self.method].b)

    def solve(self, field: "nn.Module", z: "Tensor", steps: int) -> "Tensor":
        if not self.adjoint:
            return TABLEAUS[self.method].solve(field, z, steps)
        from taunode.models.odeint import fixed_adjoint

        return fixed_adjoint(field, z, steps, THEIRS[self.method])


@final
class TableauSolver(Solver):
    """One step an interval by a method of your own.

    a, b  as in `taunode.models.tableau.Tableau`; a configuration may have fractions, such as 1/3
    c     the times of the stages; None: the sums of the rows of a, which others are not accepted

    Raises BadInput for a tableau that is not consistent.
    """

    def __init__(self, a: list[list[float]], b: list[float], c: list[float] | None = None) -> None:
        self.tableau = Tableau(tuple(tuple(row) for row in a), tuple(b))
        if c is not None:
            self.tableau.check_times(c)

    @classmethod
    def completed(cls, values: Mapping[str, Any], arch: Mapping[str, Any]) -> dict[str, Any]:
        """With numbers for fractions, and without `c`, which says nothing that `a` does not."""
        numbers = {key: _numbers(value, f"solver.{key}") for key, value in values.items() if key in ("a", "b", "c")}
        try:
            cls(**numbers)
        except TypeError:  # no lists, or one is missing, which whoever builds it says better
            return {**values, **numbers}
        return {key: value for key, value in {**values, **numbers}.items() if key != "c"}

    def evaluations(self, steps: int) -> int:
        return steps * len(self.tableau.b)

    def solve(self, field: "nn.Module", z: "Tensor", steps: int) -> "Tensor":
        return self.tableau.solve(field, z, steps)


@final
@dataclass(frozen=True, kw_only=True)
class AdaptiveSolver(Solver):
    """Steps as large as keep the error of each within atol + rtol·|z|; the first try is 1/steps.

    `steps` gives only that first one. Raises BadInput for tolerances that are not positive.

    Attributes:
        adjoint: take the gradient from the adjoint equation instead of backpropagation through the steps.
    """

    method: Literal["dopri5", "bosh3", "adaptive_heun"]
    rtol: float
    atol: float
    adjoint: bool

    def __post_init__(self) -> None:
        for key, value in (("rtol", self.rtol), ("atol", self.atol)):
            if not (math.isfinite(value) and value > 0):
                raise BadInput(f"solver.{key} must be a finite number > 0, got {value}")

    def evaluations(self, steps: int) -> None:
        return None

    def solve(self, field: "nn.Module", z: "Tensor", steps: int) -> "Tensor":
        from taunode.models.odeint import adaptive

        return adaptive(field, z, steps, self.method, self.rtol, self.atol, self.adjoint)


def _numbers(value: Any, key: str) -> Any:
    """Fractions in text, also in lists, as numbers.

    Raises:
        BadInput: a text that is none.
    """
    if isinstance(value, list):
        return [_numbers(item, f"{key}[{place}]") for place, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    try:
        return float(Fraction(value))
    except (ValueError, ZeroDivisionError):
        raise BadInput(f"{key} must be a number or a fraction such as 1/3, got {value!r}") from None
