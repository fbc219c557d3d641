"""The τ-ResNet for CIFAR-sized images, depth 6n+2.

Zhang, Yu, Yi, Chen, Liu, "Convergence Theory of Learning Over-parameterized ResNet: A Full
Characterization" (arXiv 1903.07120): He et al.'s CIFAR network (three stages of n basic blocks with 16, 32
and 64 channels) with τ on every branch, with batch normalisation or without.
"""

from collections import OrderedDict
from functools import partial
from typing import Literal

from torch import nn

from taunode.errors import BadInput
from taunode.models.block import ResidualBlock
from taunode.models.branch import BasicBranch
from taunode.models.norm import Conv, NormName, norm_layer
from taunode.models.scale import Scale
from taunode.models.shortcut import PaddedShortcut
from taunode.models.tau import TauRule
from taunode.models.tau_resnet import TauResNet

CHANNELS = (16, 32, 64)
SMALLEST_IMAGE = 4  # two stages halve it


class CifarResNet(TauResNet):
    """Maps images (batch, in_channels, image_size, image_size) to logits (batch, classes).

    depth                 6n+2 with n >= 1 blocks a stage: 20, 32, 44, 56, 110, 1202, …
    norm                  "batch", or "none" for scalar biases around the branch convolutions
    tau                   the factor on the branches
    checkpoint_segments   into how many segments of blocks memory is divided; "auto": many above 200 blocks; None: one

    `blocks` is the number of residual blocks, 3n. Weights are drawn from torch's global generator. Raises
    BadInput for another depth, images under 4×4 pixels, a τ that is not finite, and segments out of range.
    """

    def __init__(
        self,
        depth: int,
        norm: Literal["batch", "none"],
        tau: TauRule,
        in_channels: int,
        image_size: int,
        classes: int,
        checkpoint_segments: int | Literal["auto"] | None = "auto",
    ) -> None:
        if image_size < SMALLEST_IMAGE:
            raise BadInput(
                f"images of {image_size}×{image_size} pixels are too small for two stages of stride 2: "
                f"at least {SMALLEST_IMAGE}×{SMALLEST_IMAGE}"
            )
        stages = [_blocks_a_stage(depth)] * len(CHANNELS)
        stem = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, CHANNELS[0], kernel=3),
                norm=norm_layer(norm, CHANNELS[0]),
                relu=nn.ReLU(inplace=True),
            )
        )
        block = partial(_basic_block, norm)
        super().__init__(stem, CHANNELS[0], stages, CHANNELS, block, tau, classes, checkpoint_segments)


def _blocks_a_stage(depth: int) -> int:
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        low = max(n, 1)
        raise BadInput(f"arch.depth must be 6n+2, got {depth}; nearest: {6 * low + 2}, {6 * low + 8}")
    return n


def _basic_block(norm: NormName, channels_in: int, channels_out: int, stride: int, scale: Scale) -> ResidualBlock:
    same = stride == 1 and channels_in == channels_out
    shortcut = nn.Identity() if same else PaddedShortcut(channels_in, channels_out, stride, norm)
    branch = BasicBranch(channels_in, channels_out, stride, norm)
    return ResidualBlock(branch, shortcut, scale, nn.ReLU(inplace=True))
