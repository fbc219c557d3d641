"""A convolution with what keeps its output in range: batch normalisation, or scalar biases around it.

Without normalisation a branch convolution is conv(x + b) + b' with two trainable numbers b, b' (zero at
start), and stem and shortcut have nothing (Zhang et al., arXiv 1903.07120, section on training without BN).
"""

import math
from collections import OrderedDict
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NormName = Literal["batch", "none"]


class Conv(nn.Conv2d):
    """A convolution without bias, padded to keep the size at stride 1, with weights N(0, 2/(k²·C_out)).

    `kernel` (odd) is k; maps (batch, C_in, H, W) to (batch, C_out, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False)

    def reset_parameters(self) -> None:
        """Called once by torch when the layer is made: the weights are drawn a single time."""
        if self.weight.is_meta:  # nothing to draw, and torch would take seconds to find that out
            return
        fan_out = self.kernel_size[0] * self.kernel_size[1] * self.out_channels
        nn.init.normal_(self.weight, std=math.sqrt(2 / fan_out))


class ScalarBias(nn.Module):
    """One trainable number, zero at start, learning at a tenth of the rate."""

    lr_factor = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class BiasedConv(nn.Module):
    """conv(x + before) + after with scalar biases; the padding is zero, not `before`."""

    def __init__(self, conv: Conv) -> None:
        super().__init__()
        self.before = ScalarBias()
        self.conv = conv
        self.after = ScalarBias()

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        # As the convolution's own bias, `after` costs no further pass over the output, forward or backward.
        after = self.after.bias.expand(conv.out_channels)
        return F.conv2d(x + self.before.bias, conv.weight, after, conv.stride, conv.padding)


def branch_conv(norm: NormName, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Module:
    """A convolution of a residual branch with its normalisation; shapes as in `Conv`."""
    conv = Conv(channels_in, channels_out, kernel, stride)
    if norm == "none":
        return BiasedConv(conv)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(channels_out)))


def activated_conv(norm: NormName, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Module:
    """The same with normalisation and a ReLU before it, which leave its input as it is; shapes as in `Conv`."""
    conv = Conv(channels_in, channels_out, kernel, stride)
    if norm == "none":
        return nn.Sequential(OrderedDict(relu=nn.ReLU(), conv=BiasedConv(conv)))
    return nn.Sequential(OrderedDict(norm=nn.BatchNorm2d(channels_in), relu=nn.ReLU(inplace=True), conv=conv))


def norm_layer(norm: NormName, channels: int) -> nn.Module:
    """The normalisation of the stem or a shortcut with that many channels; nothing if `norm` is "none"."""
    return nn.Identity() if norm == "none" else nn.BatchNorm2d(channels)
