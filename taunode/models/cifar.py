"""What residual networks for CIFAR-sized images share: depth 6n+2, three stages, a 3×3 stem.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition" (2015), section 4.2: n blocks a stage, with 16, 32
and 64 channels, and a stride of 2 where the channels double. Networks of your own with such stages are built from it.
"""

from collections import OrderedDict

from torch import nn

from taunode.errors import BadInput
from taunode.models.branch import Residual
from taunode.models.network import check_layers
from taunode.models.norm import Conv, NormName, norm_layer

CHANNELS = (16, 32, 64)
SMALLEST_IMAGE = 4  # two stages halve it


def stages(depth: int) -> list[int]:
    """The number of blocks of each of the three stages.

    Raises:
        BadInput: a depth that is not 6n+2 with n >= 1, with the nearest that are.
    """
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        low = max(n, 1)
        raise BadInput(f"arch.depth must be 6n+2, got {depth}; nearest: {6 * low + 2}, {6 * low + 8}")
    check_layers(depth, "depth")
    return [n] * len(CHANNELS)


def check_image_size(image_size: int) -> None:
    """
    Raises:
        BadInput: images of that height and width cannot be halved twice.
    """
    if image_size < SMALLEST_IMAGE:
        raise BadInput(
            f"images of {image_size}×{image_size} pixels are too small for two stages of stride 2: "
            f"at least {SMALLEST_IMAGE}×{SMALLEST_IMAGE}"
        )


def stem(in_channels: int, channels: int, norm: NormName, residual: Residual = "post_activation") -> nn.Sequential:
    """Images (batch, in_channels, H, W) to (batch, channels, H, W): a 3×3 convolution, normalised, and a ReLU.

    With `pre_activation` the convolution alone: the first block normalises for itself.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=Conv(in_channels, channels, kernel=3))
    if residual == "post_activation":
        layers |= OrderedDict(norm=norm_layer(norm, channels), relu=nn.ReLU(inplace=True))
    return nn.Sequential(layers)
