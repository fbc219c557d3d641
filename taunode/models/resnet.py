"""The τ-ResNet for CIFAR-sized images: h_l = ReLU(shortcut(h_{l−1}) + τ·F_l(h_{l−1})), depth 6n+2.

Zhang, Yu, Yi, Chen, Liu, "Convergence Theory of Learning Over-parameterized ResNet: A Full
Characterization" (arXiv 1903.07120): He et al.'s CIFAR network (three stages of n basic blocks with 16, 32
and 64 channels) with τ on every branch, with batch normalisation or without.
"""

from collections import OrderedDict, defaultdict
from statistics import fmean
from typing import Any, Literal

from torch import Tensor, nn

from taunode.errors import BadInput
from taunode.models.block import ResidualBlock
from taunode.models.branch import BasicBranch
from taunode.models.network import Network
from taunode.models.norm import Conv, NormName, norm_layer
from taunode.models.shortcut import PaddedShortcut
from taunode.models.tau import LearnedScale, TauRule, scales

CHANNELS = (16, 32, 64)
SMALLEST_IMAGE = 4  # two stages halve it


class CifarResNet(Network):
    """Maps images (batch, in_channels, image_size, image_size) to logits (batch, classes).

    depth       6n+2 with n >= 1 blocks a stage: 20, 32, 44, 56, 110, 1202, …
    norm        "batch", or "none" for scalar biases around the branch convolutions
    tau         the factor on the branches

    `blocks` is the number of residual blocks, 3n. Weights are drawn from torch's global generator. Raises
    BadInput for another depth, for images under 4×4 pixels, and for a τ that is not finite.
    """

    def __init__(
        self,
        depth: int,
        norm: Literal["batch", "none"],
        tau: TauRule,
        in_channels: int,
        image_size: int,
        classes: int,
    ) -> None:
        super().__init__()
        if image_size < SMALLEST_IMAGE:
            raise BadInput(
                f"images of {image_size}×{image_size} pixels are too small for two stages of stride 2: "
                f"at least {SMALLEST_IMAGE}×{SMALLEST_IMAGE}"
            )
        stages = [_blocks_a_stage(depth)] * len(CHANNELS)
        self.blocks = sum(stages)
        self._tau = {"tau": tau.label(), "tau_value": tau.values(stages)[0], "blocks": tau.counts(stages)}
        self.stem = nn.Sequential(
            OrderedDict(
                conv=Conv(in_channels, CHANNELS[0], kernel=3),
                norm=norm_layer(norm, CHANNELS[0]),
                relu=nn.ReLU(inplace=True),
            )
        )
        self.stages = nn.Sequential()
        scale = iter(scales(tau, stages, CHANNELS))
        width = CHANNELS[0]
        for count, channels_out in zip(stages, CHANNELS, strict=True):
            stage = nn.Sequential()
            for _ in range(count):
                stage.append(_basic_block(width, channels_out, norm, next(scale)))
                width = channels_out
            self.stages.append(stage)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stages(self.stem(images))  # (batch, 64, image_size/4, image_size/4)
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
        """Also `tau`, its label; `tau_value`, where it starts in the first block; and `blocks`, the L it counts."""
        return self._tau | super().facts()

    def learned_tau(self) -> float | None:
        """The present shared τ, or the mean over blocks and channels of learned ones; None if τ is fixed."""
        learned = [scale.tau.mean().item() for scale in self.modules() if isinstance(scale, LearnedScale)]
        return fmean(learned) if learned else None


def _blocks_a_stage(depth: int) -> int:
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        low = max(n, 1)
        raise BadInput(f"arch.depth must be 6n+2, got {depth}; nearest: {6 * low + 2}, {6 * low + 8}")
    return n


def _basic_block(channels_in: int, channels_out: int, norm: NormName, scale: nn.Module) -> ResidualBlock:
    """A block that halves height and width where it changes the channels."""
    stride = 1 if channels_in == channels_out else 2
    shortcut = nn.Identity() if stride == 1 else PaddedShortcut(channels_in, channels_out, stride, norm)
    branch = BasicBranch(channels_in, channels_out, stride, norm)
    return ResidualBlock(branch, shortcut, scale, nn.ReLU(inplace=True))
