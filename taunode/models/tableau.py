"""Explicit Runge-Kutta methods by their Butcher tableau.

A step of length h from z at time t is k_i = v(t + c_i·h, z + h·Σ_{j<i} a_ij·k_j), z + h·Σ b_i·k_i (Hairer, Nørsett,
Wanner, "Solving Ordinary Differential Equations I", section II.1). Times and coefficients are Python floats: nothing
is read from the device, and a loop over steps compiles whole.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taunode.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

ROUNDING = 1e-12  # of coefficients that were typed as decimals


@dataclass(frozen=True)
class Tableau:
    """A method with as many stages as `b` has weights.

    Attributes:
        a: row i has the i coefficients of the stages before stage i; the first row is empty.
        b: the weights, whose sum is 1.
        c: the times of the stages as parts of a step: the sums of the rows of a.

    Raises BadInput for another shape, numbers that are not finite, and weights that do not add up: no such method
    converges.
    """

    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not self.b or [len(row) for row in self.a] != list(range(len(self.b))):
            rows = ", ".join(str(len(row)) for row in self.a) or "none"
            raise BadInput(
                f"solver.a must have a row for each of the {len(self.b)} weights in solver.b, of 0, 1, 2, … numbers, "
                f"got rows of {rows}"
            )
        if not all(math.isfinite(value) for row in (*self.a, self.b) for value in row):
            raise BadInput("solver.a and solver.b must be finite numbers")
        if abs(math.fsum(self.b) - 1) > ROUNDING:
            raise BadInput(f"solver.b must add up to 1, got {math.fsum(self.b):.12g}: no such method converges")
        object.__setattr__(self, "c", tuple(math.fsum(row) for row in self.a))

    def check_times(self, c: Sequence[float]) -> None:
        """
        Raises:
            BadInput: these are not the sums of the rows.
        """
        if len(c) != len(self.b):
            raise BadInput(f"solver.c must have a time for each of the {len(self.b)} stages, got {len(c)}")
        for stage, (given, needed) in enumerate(zip(c, self.c, strict=True)):
            if not abs(given - needed) <= ROUNDING:
                raise BadInput(f"solver.c[{stage}] must be the sum of its row of a, {needed:.12g}, got {given:.12g}")

    def solve(self, v: "Callable[[float, Tensor], Tensor]", z: "Tensor", steps: int) -> "Tensor":
        """From z at time 0 to time 1 in equal steps; v maps a time and a state to dz/dt, of the state's shape."""
        h, times = 1 / steps, self.c
        for step in range(steps):
            stages: list[Tensor] = []
            for row, c in zip(self.a, times, strict=True):
                stages.append(v(step / steps + c * h, _moved(z, h, row, stages)))
            z = _moved(z, h, self.b, stages)
        return z


def _moved(z: "Tensor", h: float, weights: Sequence[float], stages: "Sequence[Tensor]") -> "Tensor":
    """z + h·Σ weight·k."""
    for weight, k in zip(weights, stages, strict=True):
        if weight != 0:
            z = z.add(k, alpha=h * weight)
    return z


TABLEAUS = {
    "euler": Tableau(((),), (1.0,)),
    "midpoint": Tableau(((), (1 / 2,)), (0.0, 1.0)),
    "heun": Tableau(((), (1.0,)), (1 / 2, 1 / 2)),
    "ralston": Tableau(((), (2 / 3,)), (1 / 4, 3 / 4)),
    "heun3": Tableau(((), (1 / 3,), (0.0, 2 / 3)), (1 / 4, 0.0, 3 / 4)),
    "rk4": Tableau(((), (1 / 3,), (-1 / 3, 1.0), (1.0, -1.0, 1.0)), (1 / 8, 3 / 8, 3 / 8, 1 / 8)),
    "rk4_classical": Tableau(((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}
