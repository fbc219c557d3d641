"""Interpolation in time: which of the knots k/N, k = 0, …, N, have a share in time t, and how large.

Between two knots the weights (or outputs) x_k of an ODE net are (1 − s)·x_k + s·x_{k+1} with s = tN − k
(Barboni, Peyré, Vialard, "On global convergence of ResNets", arXiv 2112.05531, section 5.1).
"""

import math
import sys
from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from taunode.models.network import check_layers

EPSILON = sys.float_info.epsilon
Shares = tuple[tuple[int, float], ...]  # (knot, its share), the shares adding up to 1


class Interpolation(ABC):
    """Finds the knots around a time; a member says which two they are.

    Raises BadInput for fewer than one layer, that is N.
    """

    def __init__(self, layers: int) -> None:
        check_layers(layers)
        self.layers = layers

    def at(self, t: float | Tensor) -> Shares:
        """The shares at time t, a number or of shape (): one whole knot where t meets it, else the two knots found.

        Beyond [0, 1], where solvers look now and then, the outermost pieces go on.
        """
        # torchdiffeq keeps time in the state's precision: what is within its rounding of a knot is the knot.
        number, epsilon = (t.item(), torch.finfo(t.dtype).eps) if isinstance(t, Tensor) else (t, EPSILON)
        position = number * self.layers
        knot = round(position)
        if abs(position - knot) <= 4 * epsilon * self.layers and 0 <= knot <= self.layers:
            return ((knot, 1.0),)
        k = min(max(self.first(position), 0), self.layers - 1)
        return ((k, 1 - (position - k)), (k + 1, position - k))

    @abstractmethod
    def first(self, position: float) -> int:
        """The earlier of the two knots for a position tN that is not a knot; what leaves 0, …, N − 1 is clamped."""


@final
class Exact(Interpolation):
    """The knots on either side: k = floor(tN)."""

    def first(self, position: float) -> int:
        return math.floor(position)


@final
class Original(Interpolation):
    """The lookup int(tN − 1) of the paper's RKHS code, which made its published curves.

    From the second interval on it takes one knot too early and extrapolates: at the midpoint after knot k it
    gives 1.5·x_k − 0.5·x_{k−1}. At the knots it agrees with `Exact`; that code, which keeps time in float32, takes one
    knot too early there too at 5 knots for N = 25 and at 22 for N = 100, at none for the paper's 5, 10 and 20.
    """

    def first(self, position: float) -> int:
        return math.floor(position - 1)
