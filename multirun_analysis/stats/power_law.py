"""Power law: y = a + b·x^c through a few points, with intervals: how an error falls with depth.

Least squares over the points as they are, unweighted. For each c the best a and b are those of a straight line in x^c,
so that one number is searched for, over a grid and then by Brent's method. The intervals are Student's, from the
linearised model (the covariance s²·(JᵀJ)⁻¹ of non-linear least squares), with n − 3 degrees of freedom: of three
points, through which the curve goes exactly, nothing is said.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
STEEPEST = 6.0  # |c|
FEWEST = 4  # points


@dataclass(frozen=True)
class PowerLaw:
    """A fitted curve.

    Attributes:
        a, b, c: y = a + b·x^c.
        half: half the width of the 95 % interval of each.
        span: the smallest and the largest x.
    """

    a: float
    b: float
    c: float
    half: tuple[float, float, float]
    span: tuple[float, float]

    @classmethod
    def fit(cls, x: Array, y: Array) -> "PowerLaw | None":
        """None where there are fewer than four different x, or one of them is not positive."""
        from scipy.optimize import minimize_scalar
        from scipy.special import stdtrit

        if len(np.unique(x)) < FEWEST or (x <= 0).any() or not np.isfinite(y).all():
            return None
        unit = math.exp(np.log(x).mean())  # in units of their geometric mean numbers stay near 1
        scaled = x / unit
        grid = [c for c in np.linspace(-STEEPEST, STEEPEST, 97) if c]
        best = min(grid, key=lambda c: _line(scaled, y, c)[1])
        step = 2 * STEEPEST / 96
        found = minimize_scalar(
            lambda c: _line(scaled, y, c or 1e-9)[1], bounds=(best - step, best + step), options={"xatol": 1e-10}
        )
        c = float(found.x)
        (a, b), squares = _line(scaled, y, c)
        power = scaled**c
        jacobian = np.stack([np.ones_like(power), power, b * power * np.log(scaled)], axis=1)
        freedom = len(x) - 3
        try:
            covariance = squares / freedom * np.linalg.inv(jacobian.T @ jacobian)
        except np.linalg.LinAlgError:
            return None
        # b of the numbers as they are is b·unit^−c: its interval follows from those of b and c together.
        back = np.array([[1, 0, 0], [0, unit**-c, -b * math.log(unit) * unit**-c], [0, 0, 1]])
        errors = np.sqrt(np.maximum(np.diag(back @ covariance @ back.T), 0))
        half = float(stdtrit(freedom, 0.975)) * errors
        return cls(
            a, b * unit**-c, c, (float(half[0]), float(half[1]), float(half[2])), (float(x.min()), float(x.max()))
        )

    def __call__(self, x: Array) -> Array:
        return self.a + self.b * x**self.c

    def along(self, count: int = 100) -> Array:
        """Points between the smallest and the largest x."""
        return np.geomspace(*self.span, count)

    def __str__(self) -> str:
        parts = zip("abc", (self.a, self.b, self.c), self.half, strict=True)
        return "a + b·x^c, " + ", ".join(f"{name} = {value:.3g} ± {half:.2g}" for name, value, half in parts)


def _line(x: Array, y: Array, c: float) -> tuple[tuple[float, float], float]:
    """a and b for a given c, and the sum of squares that is left."""
    power = x**c
    away = power - power.mean()
    b = float(away @ y / max(away @ away, 1e-300))
    a = float(y.mean() - b * power.mean())
    return (a, b), float(((y - a - b * power) ** 2).sum())
