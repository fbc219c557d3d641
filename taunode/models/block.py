"""The one residual block of every net here: h_l = activation(shortcut(h_{l−1}) + τ·F_l(h_{l−1}))."""

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """activation(shortcut(x) + scale(branch(x))).

    `branch` and `shortcut` map x to the same shape, which `scale` and `activation` keep. `activation` may
    work in place: it gets the sum, which nothing else reads.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module, scale: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.scale = scale
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.shortcut(x) + self.scale(self.branch(x)))
        return out
