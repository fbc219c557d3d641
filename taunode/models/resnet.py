"""The τ-ResNet for CIFAR-sized images, depth 6n+2.

Zhang, Yu, Yi, Chen, Liu, "Convergence Theory of Learning Over-parameterized ResNet: A Full
Characterization" (arXiv 1903.07120): He et al.'s CIFAR network (three stages of n basic blocks with 16, 32
and 64 channels) with τ on every branch, with batch normalisation or without.
"""

from functools import partial
from typing import Annotated, ClassVar, Literal

from torch import nn

from taunode.absent import Absent
from taunode.models import cifar
from taunode.models.block import ResidualBlock
from taunode.models.branch import BasicBranch, Residual
from taunode.models.init import Init
from taunode.models.norm import NormName
from taunode.models.scale import Scale
from taunode.models.shortcut import PaddedShortcut
from taunode.models.tau import TauRule
from taunode.models.tau_resnet import Place, TauResNet, last_activation, widened


class CifarResNet(TauResNet):
    """Maps images (batch, in_channels, image_size, image_size) to logits (batch, classes).

    depth                 6n+2 with n >= 1 blocks a stage: 20, 32, 44, 56, 110, 1202, …
    norm                  "batch", or "none" for scalar biases around the branch convolutions
    tau                   the factor on the branches
    checkpoint_segments   into how many segments of blocks memory is divided; "auto": many above 200 blocks; None: one
    width                 multiplies the numbers of channels, which must stay whole
    residual              "post_activation" as in the paper, or "pre_activation": the identity as skip path
    init                  changes the weights that were drawn; None: as in the paper

    `blocks` is the number of residual blocks, 3n. Weights are drawn from torch's global generator. Raises BadInput for
    another depth or width, images under 4×4 pixels, a τ that is not finite, segments out of range, and an `init`
    that does not fit.

    A subclass names its own kind of block as `block_type`: its `forward` may return a tuple that begins with the
    features, and gets what the block before it returned.
    """

    block_type: ClassVar[type[ResidualBlock]] = ResidualBlock

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
        cifar.check_image_size(image_size)
        stages, channels = cifar.stages(depth), widened(cifar.CHANNELS, width)
        super().__init__(
            stem=cifar.stem(in_channels, channels[0], norm, residual),
            stem_channels=channels[0],
            stages=stages,
            channels=channels,
            width=width,
            block=partial(basic_block, norm, residual, block_type=type(self).block_type),
            last=last_activation(channels[-1], norm, residual),
            tau=tau,
            classes=classes,
            checkpoint_segments=checkpoint_segments,
            init=init,
        )


def basic_block(
    norm: NormName, residual: Residual, place: Place, scale: Scale, block_type: type[ResidualBlock] = ResidualBlock
) -> ResidualBlock:
    """A residual block of two 3×3 convolutions.

    Between stages the skip path keeps every second pixel and pads with zero channels; with `post_activation` it is
    normalised there.
    """
    channels_in, channels_out, stride, _ = place
    branch = BasicBranch(channels_in, channels_out, stride, norm, residual)
    post = residual == "post_activation"
    shortcut: nn.Module = nn.Identity()
    if stride != 1 or channels_in != channels_out:
        shortcut = PaddedShortcut(channels_in, channels_out, stride, norm if post else "none")
    return block_type(branch, shortcut, scale, nn.ReLU(inplace=True) if post else nn.Identity())
