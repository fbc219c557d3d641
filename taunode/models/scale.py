"""The modules that multiply a residual branch by its τ: fixed, learned, or borrowed from the block that owns it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import assert_never

import torch
from torch import Tensor, nn

from taunode.models.tau import TauRule


class Scale(nn.Module, ABC):
    """Multiplies a branch (batch, channels, height, width) by a τ.

    `shared` is what `shared_tau` gave for this forward pass: nothing, or the τ of all blocks, which a block may leave
    out.
    """

    @abstractmethod
    def forward(self, branch: Tensor, *shared: Tensor) -> Tensor:
        """τ·branch."""

    def add(self, shortcut: Tensor, branch: Tensor, *shared: Tensor) -> Tensor:
        """shortcut + τ·branch."""
        scaled: Tensor = self(branch, *shared)
        return shortcut + scaled


class FixedScale(Scale):
    """Multiplies by the number `tau`; 1 is free."""

    def __init__(self, tau: float) -> None:
        super().__init__()
        self.tau = tau

    def forward(self, branch: Tensor, *shared: Tensor) -> Tensor:
        return branch if self.tau == 1 else branch * self.tau

    def add(self, shortcut: Tensor, branch: Tensor, *shared: Tensor) -> Tensor:
        if branch.dtype == torch.float64:  # rounded twice, as in the codes it is compared with to the last bit
            return super().add(shortcut, branch, *shared)
        return torch.add(shortcut, branch, alpha=self.tau)  # one operator, rounded once

    def extra_repr(self) -> str:
        return f"tau={self.tau:.6g}"


class LearnedScale(Scale):
    """Multiplies by the trained parameter `tau`: a number of shape (), or one a channel of shape (channels, 1, 1).

    Used by `uses` blocks, its gradient is the average over them. The average is part of the forward pass
    and not a hook on the parameter, because a copied or replaced parameter has lost its hooks.
    """

    def __init__(self, tau: Tensor, lr_factor: float, uses: int = 1) -> None:
        super().__init__()
        self.tau = nn.Parameter(tau)
        self.lr_factor = lr_factor
        self.uses = uses

    def averaged(self) -> Tensor:
        """Exactly τ, with a gradient that is divided by `uses`."""
        # detached + w·(τ − detached) = detached + w·0, whose gradient by τ is w.
        return torch.lerp(self.tau.detach(), self.tau, 1 / self.uses)

    def forward(self, branch: Tensor, *shared: Tensor) -> Tensor:
        (tau,) = shared or (self.averaged(),)
        return branch * tau.to(branch.dtype)  # under autocast a vector τ would widen the whole branch

    def extra_repr(self) -> str:
        return f"shape={tuple(self.tau.shape)}, uses={self.uses}"


class BorrowedScale(Scale):
    """Applies the scale that another block owns.

    The owner sits in a tuple so that it is not registered here: a state dict names a shared τ once, and the
    owner *module* (not its parameter, which `.to` may replace) is what all blocks have in common.
    """

    def __init__(self, owner: LearnedScale) -> None:
        super().__init__()
        self._owner = (owner,)

    def forward(self, branch: Tensor, *shared: Tensor) -> Tensor:
        scaled: Tensor = self._owner[0](branch, *shared)
        return scaled


def scales(rule: TauRule, stages: Sequence[int], channels: Sequence[int]) -> list[Scale]:
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


def shared_tau(blocks: Iterable[nn.Module]) -> list[Tensor]:
    """The τ that these blocks share, averaged once for all of them; empty where they share none."""
    found = (block.scale for block in blocks if hasattr(block, "scale"))
    return [scale.averaged() for scale in found if isinstance(scale, LearnedScale) and scale.uses > 1]
