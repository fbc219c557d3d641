"""Solvers of dz/dt = v(t, z), z(0) given, on a grid of times: torchdiffeq's, with fixed or adaptive steps.

Chen, Rubanova, Bettencourt, Duvenaud, "Neural Ordinary Differential Equations" (arXiv 1806.07366): with `adjoint`
the gradient comes from a second equation, solved backwards by the same method, and memory does not grow with the steps.
It is the gradient of the exact flow, not of the steps taken, so it differs from backpropagation by the solver's error.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from taunode.errors import BadInput


class StepUnderflow(ArithmeticError):  # noqa: N818 -- ends a run as diverged, which is a result
    """An adaptive solver needs steps too small to change the time, or its state is not finite; it got to `time`."""

    def __init__(self, time: float) -> None:
        super().__init__(f"the solver's step underflows at t = {time:.6g}")
        self.time = time


@dataclass(frozen=True, kw_only=True)
class Solver(ABC):
    """Carries a state along a vector field.

    Attributes:
        adjoint: take the gradient from the adjoint equation instead of backpropagation through the steps.
    """

    adjoint: bool

    @abstractmethod
    def solve(self, field: nn.Module, z: Tensor, grid: Tensor) -> Tensor:
        """The state at the end of the grid, of z's shape.

        Args:
            field: v, called with a time of shape () and a state; where it has kinks is the solver's business only
                if it keeps to the grid. The adjoint gives gradients to its parameters and to z, to nothing else.
            z: the state at the beginning.
            grid: rising times (steps + 1,), float64, on z's device.

        Raises:
            StepUnderflow: adaptive steps became too small, in the backward pass too.
        """

    def _integrate(self, field: nn.Module, z: Tensor, grid: Tensor, **options: Any) -> Tensor:
        from torchdiffeq import odeint, odeint_adjoint  # here: it brings scipy, a second that planning can spare

        integrate = odeint_adjoint if self.adjoint else odeint
        states: Tensor = integrate(field, z, _ends(grid), **options)  # (2, *z.shape)
        return states[1]


@final
@dataclass(frozen=True, kw_only=True)
class FixedSolver(Solver):
    """One step an interval of the grid, with 1, 2 or 4 evaluations of the field (rk4 is the 3/8 rule)."""

    method: Literal["euler", "midpoint", "rk4"]

    def solve(self, field: nn.Module, z: Tensor, grid: Tensor) -> Tensor:
        # Not `step_size`: from it torchdiffeq makes a grid in floating point, with a step too many for some counts.
        def steps(_: object, __: object, t: Tensor) -> Tensor:
            return grid if t[0] < t[-1] else grid.flip(0)  # backwards for the adjoint

        return self._integrate(field, z, grid, method=self.method, options={"grid_constructor": steps})


@final
@dataclass(frozen=True, kw_only=True)
class AdaptiveSolver(Solver):
    """Steps as large as keep the error of each within atol + rtol·|z|; the first try is the grid's first interval.

    The grid gives only the beginning, the end and that first step. Raises BadInput for tolerances that are not
    positive.
    """

    method: Literal["dopri5", "bosh3", "adaptive_heun"]
    rtol: float
    atol: float

    def __post_init__(self) -> None:
        for key, value in (("rtol", self.rtol), ("atol", self.atol)):
            if not (math.isfinite(value) and value > 0):
                raise BadInput(f"solver.{key} must be a finite number > 0, got {value}")

    def solve(self, field: nn.Module, z: Tensor, grid: Tensor) -> Tensor:
        options = {
            "step_t": _ends(grid),  # end there, instead of stepping over the end and interpolating
            # Else torchdiffeq estimates one, and its gradient is NaN where the field does not change.
            "first_step": grid[1] - grid[0],
        }
        watched = _Watched(field)
        return self._integrate(watched, z, grid, method=self.method, rtol=self.rtol, atol=self.atol, options=options)


def _ends(grid: Tensor) -> Tensor:
    return torch.stack((grid[0], grid[-1]))


class _Watched(nn.Module):
    """A field that is told of every step by torchdiffeq, just before it would stop at an assertion."""

    def __init__(self, field: nn.Module) -> None:
        super().__init__()
        self.field = field

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        v: Tensor = self.field(t, z)
        return v

    def callback_step(self, t: Tensor, z: Tensor, dt: Tensor) -> None:
        if not (t + dt > t and z.isfinite().all()):
            raise StepUnderflow(t.item())

    def callback_step_adjoint(self, t: Tensor, states: tuple[Tensor, ...], dt: Tensor) -> None:
        if not (t - dt < t and all(state.isfinite().all() for state in states)):
            raise StepUnderflow(t.item())
