"""A network of one's own: a residual multilayer perceptron, x ← x + τ·W₂·ReLU(W₁·x), with any rule for τ."""

from torch import Tensor, nn

from taunode.errors import BadInput
from taunode.models.network import Network
from taunode.models.parts import Chain
from taunode.models.scale import Scale, scales
from taunode.models.tau import TauRule


class Block(nn.Module):
    def __init__(self, width: int, scale: Scale) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return self.scale.add(x, self.branch(x))


class ResidualMlp(Network):
    """The arguments are the keys of arch/residual_mlp.yaml, `tau`, and what the data set says."""

    def __init__(self, blocks: int, width: int, tau: TauRule, in_channels: int, image_size: int, classes: int) -> None:
        super().__init__()
        if blocks < 1:
            raise BadInput(f"arch.blocks must be at least 1, got {blocks}")
        self.rule, self.width = tau, width
        self.stem = nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, width))
        self.blocks = nn.Sequential(*(Block(width, scale) for scale in scales(tau, [blocks], [width])))
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(images)))

    def chain(self) -> Chain:  # for schedule=initialisation and runtime.probes
        return Chain(self.stem, list(self.blocks), self.head)

    def facts(self) -> dict[str, object]:  # tables show τ's label
        return super().facts() | self.rule.facts([len(self.blocks)])
