"""torchdiffeq behind our solvers: adaptive steps, and the adjoint equation of fixed ones.

It branches on the time at every step: in pieces it would compile for minutes and run slower, so it is not compiled.
"""

from typing import Any

import torch
from torch import Tensor, nn

from taunode.models.solver import StepUnderflow


def fixed_adjoint(field: nn.Module, z: Tensor, steps: int, method: str) -> Tensor:
    """The state at time 1 by torchdiffeq's fixed steps, with gradients from the adjoint equation."""
    grid = _grid(steps, z)

    # Not `step_size`: from it torchdiffeq makes a grid in floating point, with a step too many for some counts.
    def times(_: object, __: object, t: Tensor) -> Tensor:
        return grid if t[0] < t[-1] else grid.flip(0)  # backwards for the adjoint

    end: Tensor = _integrate(field, z, grid, adjoint=True, method=method, options={"grid_constructor": times})
    return end


def adaptive(field: nn.Module, z: Tensor, steps: int, method: str, rtol: float, atol: float, adjoint: bool) -> Tensor:
    """The state at time 1 by adaptive steps, the first of which is 1/steps.

    Raises:
        StepUnderflow: they became too small, in the backward pass too.
    """
    grid = _grid(steps, z)
    options = {
        "step_t": _ends(grid),  # end there, instead of stepping over the end and interpolating
        # Else torchdiffeq estimates one, and its gradient is NaN where the field does not change.
        "first_step": grid[1] - grid[0],
    }
    tolerances = {"rtol": rtol, "atol": atol}
    end: Tensor = _integrate(_Watched(field), z, grid, adjoint, method=method, options=options, **tolerances)
    return end


@torch.compiler.disable  # type: ignore[untyped-decorator]  # torch gives it no types
def _integrate(field: nn.Module, z: Tensor, grid: Tensor, adjoint: bool, **options: Any) -> Tensor:
    from torchdiffeq import odeint, odeint_adjoint  # here: it brings scipy, a second that planning can spare

    states: Tensor = (odeint_adjoint if adjoint else odeint)(field, z, _ends(grid), **options)  # (2, *z.shape)
    return states[1]


def _grid(steps: int, z: Tensor) -> Tensor:
    return torch.arange(steps + 1, dtype=torch.float64, device=z.device) / steps


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
