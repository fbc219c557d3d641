"""The modules that multiply a residual branch by its τ: fixed, learned, or borrowed from the block that owns it."""

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor, nn

from taunode.models.tau import TauRule


class FixedScale(nn.Module):
    """Multiplies by the number `tau`; 1 is free."""

    def __init__(self, tau: float) -> None:
        super().__init__()
        self.tau = tau

    def forward(self, branch: Tensor) -> Tensor:
        return branch if self.tau == 1 else branch * self.tau

    def extra_repr(self) -> str:
        return f"tau={self.tau:.6g}"


class LearnedScale(nn.Module):
    """Multiplies by the trained parameter `tau`: a number of shape (), or one a channel of shape (channels, 1, 1).

    Used by `uses` blocks, its gradient is the average over them. The average is part of the forward pass
    and not a hook on the parameter, because a copied or replaced parameter has lost its hooks.
    """

    def __init__(self, tau: Tensor, lr_factor: float, uses: int = 1) -> None:
        super().__init__()
        self.tau = nn.Parameter(tau)
        self.lr_factor = lr_factor
        self.uses = uses

    def forward(self, branch: Tensor) -> Tensor:
        # Exactly τ, since detached + w·(τ − detached) = detached + w·0; its gradient is multiplied by w.
        tau = torch.lerp(self.tau.detach(), self.tau, 1 / self.uses)
        return branch * tau.to(branch.dtype)  # under autocast a vector τ would widen the whole branch

    def extra_repr(self) -> str:
        return f"shape={tuple(self.tau.shape)}, uses={self.uses}"


class BorrowedScale(nn.Module):
    """Applies the scale that another block owns.

    The owner sits in a tuple so that it is not registered here: a state dict names a shared τ once, and the
    owner *module* (not its parameter, which `.to` may replace) is what all blocks have in common.
    """

    def __init__(self, owner: LearnedScale) -> None:
        super().__init__()
        self._owner = (owner,)

    def forward(self, branch: Tensor) -> Tensor:
        scaled: Tensor = self._owner[0](branch)
        return scaled


def scales(rule: TauRule, stages: Sequence[int], channels: Sequence[int]) -> list[nn.Module]:
    """The module that multiplies each block's branch by its τ, in order of the blocks.

    `stages[s]` and `channels[s]` are the number of blocks and the output channels of stage s. Each module
    maps (batch, channels, height, width) to the same shape. A shared τ belongs to the first block's module.
    """
    values = rule.values(stages)
    match rule.learn:
        case "none":
            return [FixedScale(value) for value in values]
        case "shared":
            owner = LearnedScale(torch.tensor(values[0]), rule.lr_factor, uses=len(values))
            return [owner, *(BorrowedScale(owner) for _ in values[1:])]
        case "block":
            return [LearnedScale(torch.tensor(value), rule.lr_factor) for value in values]
        case "channel":
            widths = [width for count, width in zip(stages, channels, strict=True) for _ in range(count)]
            return [
                LearnedScale(torch.full((width, 1, 1), value), rule.lr_factor)
                for value, width in zip(values, widths, strict=True)
            ]
        case _:
            assert_never(rule.learn)
