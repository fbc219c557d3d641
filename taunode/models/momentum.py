"""Momentum ResNets: v_l = γ·v_{l−1} + (1 − γ)·τ·F_l(h_{l−1}), h_l = h_{l−1} + v_l.

Sander, Ablin, Blondel, Peyré, "Momentum Residual Neural Networks" (arXiv 2102.07870): a residual network with a
velocity, which discretises an equation of second order in depth. A step can be undone; with γ = 0 it is the residual
network with an identity skip path, and cannot.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from taunode.errors import BadInput
from taunode.models import cifar
from taunode.models.block import ResidualBlock
from taunode.models.branch import BasicBranch
from taunode.models.checkpointing import State
from taunode.models.init import Init
from taunode.models.norm import NormName
from taunode.models.resnet import basic_block
from taunode.models.scale import Scale
from taunode.models.tau import TauRule
from taunode.models.tau_resnet import Place, TauResNet, last_activation, widened

Moving = tuple[Tensor, Tensor]  # features and velocity, both (batch, channels, height, width)


class MomentumBlock(nn.Module):
    """(h, v) → (h + v', v') with v' = γ·v + (1 − γ)·τ·branch(h), where `scale` is τ and 0 <= γ < 1."""

    def __init__(self, branch: nn.Module, scale: Scale, gamma: float) -> None:
        super().__init__()
        self.branch = branch
        self.scale = scale
        self.gamma = gamma

    def forward(self, state: Moving, *shared: Tensor) -> Moving:
        h, v = state
        v = self.gamma * v + (1 - self.gamma) * self.scale(self.branch(h), *shared)
        return h + v, v

    def inverse(self, state: Moving, *shared: Tensor) -> Moving:
        """What `forward` made this state of, but for rounding, which a chain of L inverses multiplies by γ^−L.

        Where the branch normalises batches, it must do so by the same statistics.
        """
        h, v = state
        h = h - v
        return h, (v - (1 - self.gamma) * self.scale(self.branch(h), *shared)) / self.gamma

    def extra_repr(self) -> str:
        return f"gamma={self.gamma:g}"


class StageStart(nn.Module):
    """The first block of a stage: a residual block on the features, after which the velocity begins anew.

    `velocity` maps the new features to it; None: it is zero.
    """

    def __init__(self, block: ResidualBlock, velocity: nn.Module | None) -> None:
        super().__init__()
        self.branch, self.shortcut, self.scale = block.branch, block.shortcut, block.scale
        self.velocity = velocity

    def forward(self, state: State, *shared: Tensor) -> Moving:
        h = state if isinstance(state, Tensor) else state[0]
        h = self.scale.add(self.shortcut(h), self.branch(h), *shared)
        return h, torch.zeros_like(h) if self.velocity is None else self.velocity(h)


class MomentumResNet(TauResNet):
    """Maps images (batch, in_channels, image_size, image_size) to logits (batch, classes).

    depth                 6n+2 with n >= 1 blocks a stage, of which the first, where the shape changes, has no velocity
    norm                  "batch", or "none" for scalar biases around the branch convolutions
    gamma                 γ, in [0, 1): how much of the velocity is kept
    initial_velocity      of each stage: "zero", or "learned": one more branch, of its features
    tau                   the factor on the branches
    checkpoint_segments, width, init  as in `taunode.models.resnet.CifarResNet`

    Its blocks are those of `residual: pre_activation`: the skip path is the identity. Raises BadInput as `CifarResNet`
    does, and for γ out of its range.
    """

    def __init__(
        self,
        depth: int,
        norm: Literal["batch", "none"],
        gamma: float,
        tau: TauRule,
        in_channels: int,
        image_size: int,
        classes: int,
        initial_velocity: Literal["zero", "learned"] = "zero",
        checkpoint_segments: int | Literal["auto"] | None = "auto",
        width: float = 1.0,
        init: Init | None = None,
    ) -> None:
        if not 0 <= gamma < 1:
            raise BadInput(f"arch.gamma must be at least 0 and below 1, got {gamma:g}")
        cifar.check_image_size(image_size)
        stages, channels = cifar.stages(depth), widened(cifar.CHANNELS, width)
        super().__init__(
            stem=cifar.stem(in_channels, channels[0], norm, "pre_activation"),
            stem_channels=channels[0],
            stages=stages,
            channels=channels,
            width=width,
            block=partial(_block, norm, gamma, initial_velocity == "learned"),
            last=last_activation(channels[-1], norm, "pre_activation"),
            tau=tau,
            classes=classes,
            checkpoint_segments=checkpoint_segments,
            init=init,
        )


def _block(norm: NormName, gamma: float, learned: bool, place: Place, scale: Scale) -> nn.Module:
    block = basic_block(norm, "pre_activation", place, scale)
    if not place.first:
        return MomentumBlock(block.branch, scale, gamma)
    channels = place.channels_out
    return StageStart(block, BasicBranch(channels, channels, 1, norm, "pre_activation") if learned else None)
