"""The map F_l inside a residual block, before τ is applied."""

from collections import OrderedDict

from torch import nn

from taunode.models.norm import NormName, branch_conv


class BasicBranch(nn.Sequential):
    """Two 3×3 convolutions with a ReLU between (He et al., "Deep Residual Learning", 2015, figure 5 left).

    Maps (batch, channels_in, H, W) to (batch, channels_out, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, norm: NormName) -> None:
        super().__init__(
            OrderedDict(
                conv1=branch_conv(norm, channels_in, channels_out, kernel=3, stride=stride),
                relu=nn.ReLU(inplace=True),
                conv2=branch_conv(norm, channels_out, channels_out, kernel=3),
            )
        )
