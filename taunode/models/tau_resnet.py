"""What every τ-ResNet is: h_l = ReLU(shortcut(h_{l−1}) + τ·F_l(h_{l−1})) in stages, between a stem and a linear map.

Zhang, Yu, Yi, Chen, Liu, "Convergence Theory of Learning Over-parameterized ResNet: A Full Characterization"
(arXiv 1903.07120).
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, Literal

from torch import Tensor, nn

from taunode.models.block import ResidualBlock
from taunode.models.checkpointing import run_in_segments, segment_bounds
from taunode.models.network import Network
from taunode.models.scale import LearnedScale, scales
from taunode.models.tau import TauRule

MakeBlock = Callable[[int, int, int, nn.Module], ResidualBlock]  # channels in, channels out, stride, scale


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
        self._tau: dict[str, Any] = {"tau": tau.label(), "blocks": tau.counts(stages)}
        if len(values := set(tau.values(stages))) == 1:
            self._tau["tau_value"] = values.pop()
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
        blocks = [block for stage in self.stages.children() for block in stage.children()]
        shared = [scale.tau for block in blocks if isinstance(scale := block.scale, LearnedScale) and scale.uses > 1]
        features = run_in_segments(blocks, self.bounds, shared, self.stem(images))  # (batch, channels[-1], ·, ·)
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Every trainable parameter once, as `params`, by the `lr_factor` on the learning rate.

        1.0 for weights and batch normalisation, 0.1 for scalar biases, `tau.lr_factor` for a learned τ.
        """
        groups: dict[float, list[nn.Parameter]] = defaultdict(list)
        for module in self.modules():
            lr_factor = getattr(module, "lr_factor", 1.0)
            groups[lr_factor].extend(module.parameters(recurse=False))
        return [{"params": params, "lr_factor": factor} for factor, params in groups.items() if params]

    def facts(self) -> dict[str, Any]:
        """Also `tau`, its label; `tau_value`, where it starts if in all blocks alike; and `blocks`, the L it counts."""
        return self._tau | super().facts()

    def learned_tau(self) -> float | None:
        """The present shared τ, or the mean over blocks and channels of learned ones; None if τ is fixed."""
        learned = [scale.tau.mean().item() for scale in self.modules() if isinstance(scale, LearnedScale)]
        return fmean(learned) if learned else None
