"""The τ-ResNet for ImageNet-sized images, depth 50, 101 or 152.

Zhang, Yu, Yi, Chen, Liu, "Convergence Theory of Learning Over-parameterized ResNet: A Full
Characterization" (arXiv 1903.07120): torchvision's ResNet v1.5 (four stages of bottleneck blocks with 256 to 2048
channels) with τ on every branch, τ = 2/√L with L the blocks of the largest stage; with batch normalisation or without.
"""

from collections import OrderedDict
from functools import partial
from typing import Literal

from torch import nn

from taunode.errors import BadInput
from taunode.models.block import ResidualBlock
from taunode.models.branch import BottleneckBranch
from taunode.models.norm import Conv, NormName, norm_layer
from taunode.models.scale import Scale
from taunode.models.shortcut import ProjectedShortcut
from taunode.models.tau import TauRule
from taunode.models.tau_resnet import TauResNet

STAGES = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # depth: blocks a stage
STEM_CHANNELS = 64
CHANNELS = (256, 512, 1024, 2048)
SMALLEST_IMAGE = 32  # stem and pooling halve it, and so do three stages


class ImageNetResNet(TauResNet):
    """Maps images (batch, in_channels, image_size, image_size) to logits (batch, classes).

    depth                 50, 101 or 152
    norm                  "batch", or "none" for scalar biases around the branch convolutions
    tau                   the factor on the branches
    checkpoint_segments   into how many segments of blocks memory is divided; "auto", None: one

    `blocks` is the number of residual blocks: 16, 33 or 50. Weights are drawn from torch's global generator. Raises
    BadInput for another depth, images under 32×32 pixels, a τ that is not finite, and segments out of range.
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
        if depth not in STAGES:
            raise BadInput(f"arch.depth must be one of {', '.join(map(str, STAGES))}, got {depth}")
        if image_size < SMALLEST_IMAGE:
            raise BadInput(
                f"images of {image_size}×{image_size} pixels are too small to be halved five times: "
                f"at least {SMALLEST_IMAGE}×{SMALLEST_IMAGE}"
            )
        stem = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, STEM_CHANNELS, kernel=7, stride=2),
                norm=norm_layer(norm, STEM_CHANNELS),
                relu=nn.ReLU(inplace=True),
                pool=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            )
        )
        block = partial(_bottleneck_block, norm)
        super().__init__(stem, STEM_CHANNELS, STAGES[depth], CHANNELS, block, tau, classes, checkpoint_segments)


def _bottleneck_block(norm: NormName, channels_in: int, channels_out: int, stride: int, scale: Scale) -> ResidualBlock:
    branch = BottleneckBranch(channels_in, channels_out, stride, norm)
    shortcut: nn.Module = nn.Identity()
    if stride != 1 or channels_in != channels_out:
        shortcut = ProjectedShortcut(Conv(channels_in, channels_out, kernel=1, stride=stride), norm)
    return ResidualBlock(branch, shortcut, scale, nn.ReLU(inplace=True))
