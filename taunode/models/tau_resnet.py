"""What every τ-ResNet is: h_l = ReLU(shortcut(h_{l−1}) + τ·F_l(h_{l−1})) in stages, between a stem and a linear map.

Zhang, Yu, Yi, Chen, Liu, "Convergence Theory of Learning Over-parameterized ResNet: A Full Characterization"
(arXiv 1903.07120).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from torch import Tensor, nn

from taunode.models.block import ResidualBlock
from taunode.models.checkpointing import run_in_segments, segment_bounds
from taunode.models.network import Chain, Network
from taunode.models.scale import Scale, scales, shared_tau
from taunode.models.tau import TauRule

MakeBlock = Callable[[int, int, int, Scale], ResidualBlock]  # channels in, channels out, stride, scale


class TauResNet(Network):
    """Maps images (batch, in_channels, height, width) to logits (batch, classes): a member says with which parts.

    stem                  maps images to (batch, width, ·, ·)
    stages, channels      number of blocks and output channels of each stage; all but the first begin with a stride of 2
    checkpoint_segments   as in `taunode.models.checkpointing.segment_bounds`

    `blocks` is the number of residual blocks. Raises BadInput for a τ that is not finite and for segments out of range.
    """

    def __init__(
        self,
        stem: nn.Module,
        width: int,
        stages: Sequence[int],
        channels: Sequence[int],
        block: MakeBlock,
        tau: TauRule,
        classes: int,
        checkpoint_segments: int | Literal["auto"] | None,
    ) -> None:
        super().__init__()
        self.blocks = sum(stages)
        self.bounds = segment_bounds(checkpoint_segments, stages)
        self._tau = tau.facts(stages)
        self.stem = stem
        self.stages = nn.Sequential()
        scale = iter(scales(tau, stages, channels))
        for index, (count, channels_out) in enumerate(zip(stages, channels, strict=True)):
            strides = [1 if index == 0 else 2] + [1] * (count - 1)
            stage = nn.Sequential()
            for stride in strides:
                stage.append(block(width, channels_out, stride, next(scale)))
                width = channels_out
            self.stages.append(stage)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        blocks = self.chain().blocks
        features = run_in_segments(blocks, self.bounds, shared_tau(blocks), self.stem(images))
        assert isinstance(features, Tensor)  # (batch, channels[-1], ·, ·)
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits

    def chain(self) -> Chain:
        blocks = [block for stage in self.stages.children() for block in stage.children()]
        return Chain(self.stem, blocks, self.head)

    def facts(self) -> dict[str, Any]:
        """Also those of τ (`TauRule.facts`), whose `blocks` is the L that it counts."""
        return super().facts() | self._tau
