"""The vector fields v(t, z) of ODE nets: one hidden layer of 3×3 convolutions, with weights at knots in time.

Barboni, Peyré, Vialard, "On global convergence of ResNets" (arXiv 2112.05531): RKHS, v = W(t)∗ReLU(Ω∗z) with
fixed random features Ω, and SHL, v = Σ_k share_k(t)·W_k∗ReLU(Ω_k∗z) with Ω_k trained.
"""

import functools
import math
from abc import ABC, abstractmethod
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taunode.errors import BadInput
from taunode.models.interpolation import Interpolation

KERNEL = 3


class VectorField(nn.Module, ABC):
    """A map of time t, a number or of shape (), and state z (batch, channels, height, width) to dz/dt of z's shape."""

    interpolation: Interpolation

    @abstractmethod
    def forward(self, t: float | Tensor, z: Tensor) -> Tensor: ...


@final
class RkhsField(VectorField):
    """v = W(t)∗ReLU(Ω∗z): linear in what is trained, the N+1 knots of W.

    Ω is a buffer, N(0, 1/(3·hidden_channels)). W is zero at start, or N(0, 1/(9·hidden_channels)) (one over
    the numbers that a value of v sums) without `zero_init`. Drawn from torch's global generator; raises BadInput for
    channels under 1.
    """

    omega: Tensor

    def __init__(self, interpolation: Interpolation, channels: int, hidden_channels: int, zero_init: bool) -> None:
        super().__init__()
        _check(channels, hidden_channels)
        self.interpolation = interpolation
        hidden = (hidden_channels, channels, KERNEL, KERNEL)
        visible = (channels, hidden_channels, KERNEL, KERNEL)
        # torch.randn and not nn.init.normal_, which takes a second to load where only shapes are asked for.
        self.register_buffer("omega", torch.randn(hidden) / math.sqrt(3 * hidden_channels))
        std = 1 / math.sqrt(KERNEL**2 * hidden_channels)
        self.w = nn.ParameterList(
            torch.zeros(visible) if zero_init else std * torch.randn(visible) for _ in range(interpolation.layers + 1)
        )

    def forward(self, t: float | Tensor, z: Tensor) -> Tensor:
        # Blending the weights costs one convolution, blending the outputs would cost two.
        w = functools.reduce(torch.add, [_times(share, self.w[knot]) for knot, share in self.interpolation.at(t)])
        return _hidden_layer(z, self.omega, w)


@final
class ShlField(VectorField):
    """v = Σ share·W_k∗ReLU(Ω_k∗z) over the knots k with a share in time t; both W_k and Ω_k are trained.

    Ω_k is drawn as PyTorch draws a convolution, and so is W_k without `zero_init`; else it is zero. Raises
    BadInput for channels under 1.
    """

    def __init__(self, interpolation: Interpolation, channels: int, hidden_channels: int, zero_init: bool) -> None:
        super().__init__()
        _check(channels, hidden_channels)
        self.interpolation = interpolation
        knots = range(interpolation.layers + 1)
        self.omega = nn.ParameterList(_default_weight(channels, hidden_channels) for _ in knots)
        self.w = nn.ParameterList(_default_weight(hidden_channels, channels) for _ in knots)
        if zero_init:
            for w in self.w:
                nn.init.zeros_(w)

    def forward(self, t: float | Tensor, z: Tensor) -> Tensor:
        # The two knots side by side are one net of twice the width: two convolutions for four, a tenth faster.
        shares = self.interpolation.at(t)
        omega = torch.cat([self.omega[knot] for knot, _ in shares])
        w = torch.cat([_times(share, self.w[knot]) for knot, share in shares], dim=1)
        return _hidden_layer(z, omega, w)


def _hidden_layer(z: Tensor, omega: Tensor, w: Tensor) -> Tensor:
    """w∗ReLU(omega∗z)."""
    hidden = F.relu(F.conv2d(z, omega, padding=1), inplace=True)
    return F.conv2d(hidden, w, padding=1)


def _times(share: float, weight: Tensor) -> Tensor:
    return weight if share == 1 else share * weight


def _check(channels: int, hidden_channels: int) -> None:
    for key, value in (("channels", channels), ("hidden_channels", hidden_channels)):
        if value < 1:
            raise BadInput(f"arch.{key} must be at least 1, got {value}")


def _default_weight(channels_in: int, channels_out: int) -> Tensor:
    """A parameter (channels_out, channels_in, 3, 3), as PyTorch draws it."""
    return nn.Conv2d(channels_in, channels_out, KERNEL, bias=False).weight
