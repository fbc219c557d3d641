"""What every τ-ResNet is: h_l = a(shortcut(h_{l−1}) + τ·F_l(h_{l−1})) in stages, between a stem and a linear map.

Zhang, Yu, Yi, Chen, Liu, "Convergence Theory of Learning Over-parameterized ResNet: A Full Characterization"
(arXiv 1903.07120), where a is the ReLU. With `residual: pre_activation` a is the identity and so is the skip path: the
branch begins with normalisation and ReLU, and a last such pair follows the last block (He, Zhang, Ren, Sun, "Identity
Mappings in Deep Residual Networks", arXiv 1603.05027; the stem and the shortcuts between stages are linear here).
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from taunode.errors import BadInput
from taunode.models.branch import Residual
from taunode.models.checkpointing import run_in_segments, segment_bounds
from taunode.models.init import Init
from taunode.models.network import Network
from taunode.models.norm import NormName, ScalarBias, norm_layer
from taunode.models.parts import Chain
from taunode.models.scale import Scale, scales, shared_tau
from taunode.models.tau import TauRule


class Place(NamedTuple):
    """What a block needs to know of where it is; `first`: of its stage."""

    channels_in: int
    channels_out: int
    stride: int
    first: bool


MakeBlock = Callable[[Place, Scale], nn.Module]


class TauResNet(Network):
    """Maps images (batch, in_channels, height, width) to logits (batch, classes): a member says with which parts.

    stem, stem_channels   maps images to (batch, stem_channels, ·, ·)
    stages, channels      number of blocks and output channels of each stage; all but the first begin with a stride of 2
    width                 of these channels, in units of the architecture's own
    block                 makes a block, which is called with what the one before it returned: features, or a tuple
                          whose first member they are; and with the τ that all blocks share, if they do; it maps
                          features (batch, channels_in, H, W) to (batch, channels_out, ⌈H/stride⌉, ⌈W/stride⌉)
    last                  what follows the blocks
    init                  changes the weights that were drawn; None leaves them
    checkpoint_segments   as in `taunode.models.checkpointing.segment_bounds`

    `blocks` is the number of residual blocks; a parametrization asks it and `width`. Raises BadInput for a τ
    that is not finite, segments out of range, and an `init` that does not fit.
    """

    def __init__(
        self,
        stem: nn.Module,
        stem_channels: int,
        stages: Sequence[int],
        channels: Sequence[int],
        width: float,
        block: MakeBlock,
        last: nn.Module,
        tau: TauRule,
        classes: int,
        checkpoint_segments: int | Literal["auto"] | None,
        init: Init | None,
    ) -> None:
        super().__init__()
        self.blocks = sum(stages)
        self.width = width
        self.bounds = segment_bounds(checkpoint_segments, stages)
        self._tau = tau.facts(stages)
        self.stem = stem
        self.stages = nn.Sequential()
        scale = iter(scales(tau, stages, channels))
        for index, (count, channels_out) in enumerate(zip(stages, channels, strict=True)):
            first = Place(channels[index - 1] if index else stem_channels, channels_out, 2 if index else 1, True)
            places = [first, *[Place(channels_out, channels_out, 1, False)] * (count - 1)]
            self.stages.append(nn.Sequential(*(block(place, next(scale)) for place in places)))
        self.last = nn.Sequential(last, ScalarBias()) if init is not None and init.biases else last
        self.head = nn.Linear(channels[-1], classes)
        if init is not None:
            init.apply(self.chain(), tau)

    def forward(self, images: Tensor) -> Tensor:
        blocks = self.chain().blocks
        state = run_in_segments(blocks, self.bounds, shared_tau(blocks), self.stem(images))
        features = state if isinstance(state, Tensor) else state[0]  # (batch, channels[-1], ·, ·)
        logits: Tensor = self.head(self.last(features).mean((2, 3)))
        return logits

    def chain(self) -> Chain:
        blocks = [block for stage in self.stages.children() for block in stage.children()]
        return Chain(self.stem, blocks, self.head)

    def size(self) -> tuple[int, float]:
        return self.blocks, self.width

    def facts(self) -> dict[str, Any]:
        """Also those of τ (`TauRule.facts`), whose `blocks` is the L that it counts."""
        return super().facts() | self._tau


def last_activation(channels: int, norm: NormName, residual: Residual) -> nn.Module:
    """What follows the last block: with `pre_activation` a normalisation and a ReLU, else nothing."""
    if residual == "post_activation":
        return nn.Identity()
    return nn.Sequential(OrderedDict(norm=norm_layer(norm, channels), relu=nn.ReLU()))


def widened(channels: Sequence[int], width: float) -> list[int]:
    """`width` times these numbers of channels.

    Raises:
        BadInput: that leaves none, or no whole numbers.
    """
    found = [count * width for count in channels]
    if not (math.isfinite(width) and width > 0 and all(float(count).is_integer() for count in found)):
        raise BadInput(
            f"arch.width must be above 0 and make {', '.join(map(str, channels))} channels whole numbers, got {width:g}"
        )
    return [int(count) for count in found]
