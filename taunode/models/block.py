"""The one residual block of every net here: h_l = activation(shortcut(h_{l−1}) + τ·F_l(h_{l−1}))."""

from torch import Tensor, nn

from taunode.models.scale import Scale


class ResidualBlock(nn.Module):
    """activation(shortcut(x) + τ·branch(x)), where `scale` is τ.

    `branch` and `shortcut` map x to the same shape, which `scale` and `activation` keep. `activation` may
    work in place: it gets the sum, which nothing else reads. A chain gives every block the τ they share, if they do.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module, scale: Scale, activation: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.scale = scale
        self.activation = activation

    def forward(self, x: Tensor, *shared: Tensor) -> Tensor:
        out: Tensor = self.activation(self.scale.add(self.shortcut(x), self.branch(x), *shared))
        return out
