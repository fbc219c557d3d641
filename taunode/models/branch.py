"""The map F_l inside a residual block, before τ is applied."""

import math
from collections import OrderedDict
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taunode.models.norm import NormName, activated_conv, branch_conv

# Where a block has its ReLUs (and batch normalisations): behind the convolutions and the sum, or before the
# convolutions only, which leaves the skip path to the sum alone (He, Zhang, Ren, Sun, "Identity Mappings in Deep
# Residual Networks", arXiv 1603.05027).
Residual = Literal["post_activation", "pre_activation"]


class BasicBranch(nn.Sequential):
    """Two 3×3 convolutions with a ReLU between (He et al., "Deep Residual Learning", 2015, figure 5 left).

    Maps (batch, channels_in, H, W) to (batch, channels_out, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        stride: int,
        norm: NormName,
        residual: Residual = "post_activation",
    ) -> None:
        super().__init__(
            _layers(norm, residual, (channels_in, channels_out, 3, stride), (channels_out, channels_out, 3, 1))
        )


class BottleneckBranch(nn.Sequential):
    """Three convolutions, 1×1, 3×3 and 1×1, with ReLUs between (He et al., figure 5 right).

    The inner ones have a quarter of `channels_out` channels, and the 3×3 one the stride, as in torchvision's ResNet
    v1.5. Maps shapes as `BasicBranch` does.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        stride: int,
        norm: NormName,
        residual: Residual = "post_activation",
    ) -> None:
        inner = channels_out // 4
        convs = (channels_in, inner, 1, 1), (inner, inner, 3, stride), (inner, channels_out, 1, 1)
        super().__init__(_layers(norm, residual, *convs))


def _layers(norm: NormName, residual: Residual, *convs: tuple[int, int, int, int]) -> OrderedDict[str, nn.Module]:
    """Convolutions (channels in, channels out, kernel, stride) as conv1, conv2, …, with what stands between them."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (channels_in, channels_out, kernel, stride) in enumerate(convs, start=1):
        if residual == "pre_activation":
            layers[f"conv{number}"] = activated_conv(norm, channels_in, channels_out, kernel, stride)
            continue
        if number > 1:
            layers[f"relu{number - 1}"] = nn.ReLU(inplace=True)
        layers[f"conv{number}"] = branch_conv(norm, channels_in, channels_out, kernel, stride)
    return layers


class RandomFeatures(nn.Module):
    """Ω∗x: a 3×3 convolution whose weights N(0, 1/(9·C_in)) are drawn once and never trained.

    They are a buffer: part of the state, not a parameter. Maps shapes as `BasicBranch` does.
    """

    weight: Tensor

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("weight", torch.empty(channels_out, channels_in, 3, 3))
        if not self.weight.is_meta:  # nothing to draw, and torch would take seconds to find that out
            nn.init.normal_(self.weight, std=1 / math.sqrt(9 * channels_in))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, stride=self.stride, padding=1)


class FlowBranch(nn.Sequential):
    """W∗ReLU(Ω∗x), `features` being Ω (Barboni, Peyré, Vialard, arXiv 2112.05531, appendix on CIFAR-10).

    W is a 3×3 convolution that keeps the `channels` which the features have. With `zero_init` it is zero at start,
    so that the branch is; else it is drawn as PyTorch does.
    """

    def __init__(self, features: nn.Module, channels: int, zero_init: bool) -> None:
        output = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        if zero_init:
            nn.init.zeros_(output.weight)
        super().__init__(OrderedDict(features=features, relu=nn.ReLU(inplace=True), output=output))
