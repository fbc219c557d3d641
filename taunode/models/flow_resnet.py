"""Flow ResNets for CIFAR-sized images: residual blocks x + τ·W∗ReLU(Ω∗x) with nothing between or after them.

Barboni, Peyré, Vialard, "On global convergence of ResNets: From finite to infinite width using linear
parameterization" (arXiv 2112.05531), experiments on CIFAR-10: a ResNet-18 whose third stage has `layers` blocks. In the
RKHS net Ω is random and fixed, so that every branch is linear in what is trained; in the SHL net (single hidden layer)
Ω is trained as well. The paper has τ = 1; with 1/L the blocks are Euler's steps of its ODE nets.
"""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, final

from torch import Tensor, nn

from taunode.errors import BadInput
from taunode.models.block import ResidualBlock
from taunode.models.branch import FlowBranch, RandomFeatures
from taunode.models.network import Network, check_layers
from taunode.models.parts import Chain
from taunode.models.scale import Scale, scales, shared_tau
from taunode.models.shortcut import ProjectedShortcut
from taunode.models.tau import PowerLaw, TauRule

CHANNELS = (64, 128, 256, 512)
SMALLEST_IMAGE = 8  # three stages halve it


class FlowResNet(Network, ABC):
    """Maps images (batch, in_channels, image_size, image_size) to logits (batch, classes).

    layers      blocks of the third stage, at least 1; the others have two
    zero_init   whether every W is zero at start, so that all branches are
    tau         the factor on the branches, of all layers + 6 blocks; None: 1

    `blocks` is the number of residual blocks, layers + 6. Where the paper averages over 4×4 pixels, the last stage of
    its 32×32 images has no more. What the paper does not say is drawn as PyTorch does, from torch's global generator.
    Raises BadInput for no layers and for images under 8×8 pixels.
    """

    def __init__(
        self,
        layers: int,
        zero_init: bool,
        in_channels: int,
        image_size: int,
        classes: int,
        tau: TauRule | None = None,
    ) -> None:
        super().__init__()
        check_layers(layers)
        if image_size < SMALLEST_IMAGE:
            raise BadInput(
                f"images of {image_size}×{image_size} pixels are too small for three stages of stride 2: "
                f"at least {SMALLEST_IMAGE}×{SMALLEST_IMAGE}"
            )
        stages = (2, 2, layers, 2)
        self.blocks = sum(stages)
        self._tau = {} if tau is None else tau.facts(stages)
        scale = iter(scales(tau or PowerLaw(1.0, 0.0), stages, CHANNELS))
        first, second, third, fourth = CHANNELS
        self.body = nn.Sequential(
            OrderedDict(
                stem=nn.Sequential(
                    OrderedDict(
                        conv=nn.Conv2d(in_channels, first, kernel_size=3, padding=1, bias=False),
                        norm=nn.BatchNorm2d(first),
                        relu=nn.ReLU(inplace=True),
                    )
                ),
                stage1=self._stage(2, first, first, 1, zero_init, scale),
                stage2=self._stage(2, first, second, 2, zero_init, scale),
                norm=nn.BatchNorm2d(second),
                stage3=self._stage(layers, second, third, 2, zero_init, scale),
                stage4=self._stage(2, third, fourth, 2, zero_init, scale),
            )
        )
        self.head = nn.Linear(fourth, classes)

    @abstractmethod
    def features(self, channels_in: int, channels_out: int, stride: int) -> nn.Module:
        """Ω of one block: a 3×3 convolution from (batch, channels_in, H, W) to (batch, channels_out, ⌈H/stride⌉, …)."""

    def _stage(
        self, count: int, channels_in: int, channels_out: int, stride: int, zero_init: bool, scale: Iterator[Scale]
    ) -> nn.Sequential:
        first = self._block(channels_in, channels_out, stride, zero_init, next(scale))
        rest = [self._block(channels_out, channels_out, 1, zero_init, next(scale)) for _ in range(count - 1)]
        return nn.Sequential(first, *rest)

    def _block(self, channels_in: int, channels_out: int, stride: int, zero_init: bool, scale: Scale) -> ResidualBlock:
        branch = FlowBranch(self.features(channels_in, channels_out, stride), channels_out, zero_init)
        shortcut: nn.Module = nn.Identity()
        if channels_in != channels_out:
            conv = nn.Conv2d(channels_in, channels_out, kernel_size=1, stride=stride, bias=False)
            shortcut = ProjectedShortcut(conv, "batch")
        return ResidualBlock(branch, shortcut, scale, activation=nn.Identity())

    def forward(self, images: Tensor) -> Tensor:
        shared = shared_tau(self.chain().blocks)
        h = images
        for part in self._parts():
            h = part(h, *shared) if isinstance(part, ResidualBlock) else part(h)
        logits: Tensor = self.head(h.mean((2, 3)))  # of (batch, 512, image_size/8, image_size/8)
        return logits

    def chain(self) -> Chain:
        stem, *parts = self._parts()
        return Chain(stem, [part for part in parts if isinstance(part, ResidualBlock)], self.head)

    def _parts(self) -> list[nn.Module]:
        """Stem, blocks, and the normalisation between them, in order."""
        stem, first, second, norm, third, fourth = self.body.children()
        return [stem, *first.children(), *second.children(), norm, *third.children(), *fourth.children()]

    def facts(self) -> dict[str, Any]:
        """Also those of τ, if it has one; `parameters` counts the fixed Ω too, which are no parameters to torch."""
        facts = super().facts()
        fixed = sum(module.weight.numel() for module in self.modules() if isinstance(module, RandomFeatures))
        return facts | self._tau | {"parameters": facts["parameters"] + fixed}


@final
class RkhsResNet(FlowResNet):
    """Ω∗x are random features: N(0, 1/(9·C_in)), fixed."""

    def features(self, channels_in: int, channels_out: int, stride: int) -> nn.Module:
        return RandomFeatures(channels_in, channels_out, stride)


@final
class ShlResNet(FlowResNet):
    """Ω is trained."""

    def features(self, channels_in: int, channels_out: int, stride: int) -> nn.Module:
        return nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=stride, padding=1, bias=False)
