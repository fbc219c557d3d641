"""Depth in little memory: only the input of a segment of blocks is kept, and the rest computed again when needed.

Chen, Xu, Zhang, Guestrin, "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174). Outputs, gradients and
running statistics are those of the plain computation, bit for bit; the price is one more forward pass.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from taunode.errors import BadInput

# In a CIFAR ResNet a block keeps 4 activations (both convolutions, the inner ReLU, the sum), each of 8 MB in the first
# stage at batch 128, half and a quarter of that in the others: 20 MB a block, so 4 GB at 200 blocks, 12 GB at 600.
AUTO_ABOVE = 200  # blocks


def segment_count(asked: int | Literal["auto"] | None, blocks: int) -> int:
    """In how many segments to run `blocks` blocks: from 1, where nothing is computed twice, to `blocks`.

    `auto` is 1 up to 200 blocks. Above, S segments keep S inputs and, while the backward pass is in one of them, its
    4·blocks/S activations: S + 4·blocks/S is least at S = 2·√blocks, 49 for the 600 blocks of depth 1202.

    Raises:
        BadInput: a number out of range.
    """
    if asked is None:
        return 1
    if asked == "auto":
        return 1 if blocks <= AUTO_ABOVE else round(2 * math.sqrt(blocks))
    if not 1 <= asked <= blocks:
        raise BadInput(
            f"arch.checkpoint_segments must be auto, null or from 1 to {blocks}, the number of blocks, got {asked}"
        )
    return asked


def run_in_segments(blocks: Sequence[nn.Module], count: int, x: Tensor) -> Tensor:
    """The blocks one after another, in `count` segments of equal length to within one block.

    All segments but the last, where the backward pass begins, are computed twice. Blocks must draw no random numbers.
    """
    if not torch.is_grad_enabled():
        count = 1
    bounds = [len(blocks) * index // count for index in range(count + 1)]
    *others, last = (nn.Sequential(*blocks[start:end]) for start, end in pairwise(bounds))
    for segment in others:
        if torch.compiler.is_compiling():  # takes no contexts, and needs none: its graph updates statistics once
            x = checkpoint(segment, x, use_reentrant=False, preserve_rng_state=False)
        else:
            contexts = partial(_first_and_again, segment)
            x = checkpoint(segment, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
    out: Tensor = last(x)
    return out


def _first_and_again(segment: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """The contexts of the forward pass, and of its repetition."""
    return nullcontext(), _CopiedBuffers(segment)


class _CopiedBuffers(AbstractContextManager[None]):
    """Inside, a module has copies of its buffers: running statistics stay as the first forward pass left them.

    Copies, because batch normalisation without statistics saves fewer tensors for the backward pass than the first
    time, and with a momentum of 0 it would still count the batch and make NaN of an infinite variance (0·∞). It can be
    entered again, as a second backward pass does.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def __enter__(self) -> None:
        owners = self._module.modules()
        self._owned = [(owner, name, own) for owner in owners for name, own in owner.named_buffers(recurse=False)]
        for owner, name, buffer in self._owned:
            setattr(owner, name, buffer.clone())

    def __exit__(self, *_: object) -> None:
        for owner, name, buffer in self._owned:
            setattr(owner, name, buffer)
