"""The path around a residual branch where its output has another shape than its input."""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from taunode.models.norm import NormName, norm_layer


class PaddedShortcut(nn.Module):
    """Every `stride`-th pixel, normalised, then as many zero channels as are missing.

    He et al.'s option A with the BatchNorm that arXiv 1903.07120 adds, over the channels of the input. Maps
    (batch, channels_in, H, W) to (batch, channels_out, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, norm: NormName) -> None:
        super().__init__()
        self.stride = stride
        self.missing = channels_out - channels_in
        self.norm = norm_layer(norm, channels_in)

    def forward(self, x: Tensor) -> Tensor:
        kept = x[:, :, :: self.stride, :: self.stride]  # is AvgPool2d(kernel_size=1, stride)
        return F.pad(self.norm(kept), (0, 0, 0, 0, 0, self.missing))


class ProjectedShortcut(nn.Sequential):
    """A convolution of kernel 1, normalised: He et al.'s option B.

    Maps shapes as `conv` does, whose stride may be any.
    """

    def __init__(self, conv: nn.Conv2d, norm: NormName) -> None:
        super().__init__(OrderedDict(conv=conv, norm=norm_layer(norm, conv.out_channels)))
