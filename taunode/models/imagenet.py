"""The τ-ResNet for ImageNet-sized images, depth 50, 101 or 152.

Zhang, Yu, Yi, Chen, Liu, "Convergence Theory of Learning Over-parameterized ResNet: A Full
Characterization" (arXiv 1903.07120): torchvision's ResNet v1.5 (four stages of bottleneck blocks with 256 to 2048
channels) with τ on every branch, τ = 2/√L with L the blocks of the largest stage; with batch normalisation or without.
"""

from collections import OrderedDict
from functools import partial
from typing import Annotated, Literal

from torch import nn

from taunode.absent import Absent
from taunode.errors import BadInput
from taunode.models.block import ResidualBlock
from taunode.models.branch import BottleneckBranch, Residual
from taunode.models.init import Init
from taunode.models.norm import Conv, NormName, norm_layer
from taunode.models.scale import Scale
from taunode.models.shortcut import ProjectedShortcut
from taunode.models.tau import TauRule
from taunode.models.tau_resnet import Place, TauResNet, last_activation, widened

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
    width                 multiplies the numbers of channels, which must stay whole
    residual              "post_activation" as in the paper, or "pre_activation": the identity as skip path
    init                  changes the weights that were drawn; None: as in the paper

    `blocks` is the number of residual blocks: 16, 33 or 50. Weights are drawn from torch's global generator. Raises
    BadInput for another depth or width, images under 32×32 pixels, a τ that is not finite, segments out of range, and
    an `init` that does not fit.
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
        width: Annotated[float, Absent(1.0)] = 1.0,
        residual: Annotated[Residual, Absent("post_activation")] = "post_activation",
        init: Init | None = None,
    ) -> None:
        if depth not in STAGES:
            raise BadInput(f"arch.depth must be one of {', '.join(map(str, STAGES))}, got {depth}")
        if image_size < SMALLEST_IMAGE:
            raise BadInput(
                f"images of {image_size}×{image_size} pixels are too small to be halved five times: "
                f"at least {SMALLEST_IMAGE}×{SMALLEST_IMAGE}"
            )
        stem_channels, *channels = widened((STEM_CHANNELS, *CHANNELS), width)
        super().__init__(
            stem=_stem(in_channels, stem_channels, norm, residual),
            stem_channels=stem_channels,
            stages=STAGES[depth],
            channels=channels,
            width=width,
            block=partial(bottleneck_block, norm, residual),
            last=last_activation(channels[-1], norm, residual),
            tau=tau,
            classes=classes,
            checkpoint_segments=checkpoint_segments,
            init=init,
        )


def _stem(in_channels: int, channels: int, norm: NormName, residual: Residual) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=Conv(in_channels, channels, kernel=7, stride=2))
    if residual == "post_activation":
        layers |= OrderedDict(norm=norm_layer(norm, channels), relu=nn.ReLU(inplace=True))
    layers["pool"] = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
    return nn.Sequential(layers)


def bottleneck_block(norm: NormName, residual: Residual, place: Place, scale: Scale) -> ResidualBlock:
    """A residual block of 1×1, 3×3 and 1×1 convolutions; where the shape changes, the skip path is a 1×1 convolution.

    With `post_activation` that is normalised. With `pre_activation` it is linear in what the block gets, while in He et
    al. it is in what the branch's first ReLU gives.
    """
    channels_in, channels_out, stride, _ = place
    branch = BottleneckBranch(channels_in, channels_out, stride, norm, residual)
    post = residual == "post_activation"
    shortcut: nn.Module = nn.Identity()
    if stride != 1 or channels_in != channels_out:
        conv = Conv(channels_in, channels_out, kernel=1, stride=stride)
        shortcut = ProjectedShortcut(conv, norm if post else "none")
    return ResidualBlock(branch, shortcut, scale, nn.ReLU(inplace=True) if post else nn.Identity())
