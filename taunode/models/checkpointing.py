"""Depth in little memory: of a segment of blocks only the input is kept, and the rest computed again when needed.

Chen, Xu, Zhang, Guestrin, "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174). Outputs, gradients and
running statistics are those of the plain computation, bit for bit; the price is most of one more forward pass.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from taunode.errors import BadInput

# In a CIFAR ResNet a block keeps 4 activations (both convolutions, the inner ReLU, the sum), each of 8 MB in the first
# stage at batch 128, half and a quarter of that in the others: 19 MB a block, so 4 GB at 200 blocks, 11 GB at 600.
AUTO_ABOVE = 200  # blocks


def segment_bounds(asked: int | Literal["auto"] | None, stages: Sequence[int]) -> list[int]:
    """Between which of the blocks of a network to cut: 0, …, the number of blocks; without cuts in between, plain.

    `stages[s]` is the number of blocks of stage s. Each stage has twice the channels and half the height and width of
    the one before, so that a block keeps half as much; the `asked` segments (less, where blocks are few) keep about
    the same. `auto` cuts nothing up to 200 blocks. Above, S segments keep S inputs and, while the backward pass is in
    one of them, its share of 4 activations a block: S + 4·blocks/S is least at S = 2·√blocks but flat there. Half of
    that, 24 for depth 1202, makes the last segment, which alone is not computed twice, a tenth of the network.

    Raises:
        BadInput: a number out of range.
    """
    blocks = sum(stages)
    if asked is None or (asked == "auto" and blocks <= AUTO_ABOVE):
        return [0, blocks]
    count = round(math.sqrt(blocks)) if asked == "auto" else asked
    if not 1 <= count <= blocks:
        raise BadInput(
            f"arch.checkpoint_segments must be auto, null or from 1 to {blocks}, the number of blocks, got {asked}"
        )
    kept = [0.0, *accumulate(0.5**stage for stage, length in enumerate(stages) for _ in range(length))]
    targets = [kept[-1] * segment / count for segment in range(count + 1)]
    return sorted({min(range(blocks + 1), key=lambda cut: abs(kept[cut] - target)) for target in targets})


def run_in_segments(blocks: Sequence[nn.Module], bounds: Sequence[int], shared: Sequence[Tensor], x: Tensor) -> Tensor:
    """The blocks one after another, in the segments that end at `bounds`; all but the last are computed twice.

    `shared` are the parameters that several blocks use. Blocks must draw no random numbers.
    """
    *others, last = (nn.Sequential(*blocks[start:end]) for start, end in pairwise(bounds))
    if not torch.is_grad_enabled():
        others, last = [], nn.Sequential(*blocks)
    if others and not torch.compiler.is_compiling():
        return _routed([*others, last], [parameter for parameter in shared if parameter.requires_grad], x)
    for segment in others:  # compiled: a graph that updates running statistics once as it is
        x = checkpoint(segment, x, use_reentrant=False, preserve_rng_state=False)
    out: Tensor = last(x)
    return out


def _routed(segments: Sequence[nn.Module], shared: list[Tensor], x: Tensor) -> Tensor:
    """The segments one after another, the shared parameters passing through each of them."""
    known = {id(parameter) for parameter in shared}
    routes = shared
    for segment in segments:
        own = [p for p in segment.parameters() if p.requires_grad and id(p) not in known]
        x, *routes = _Segment.apply(segment, segment is segments[-1], shared, own, x, *routes, *own)
    return x


class _Segment(torch.autograd.Function):
    """A segment as one step of the outer graph; a graph of its own exists in the backward pass only, unless kept.

    A shared parameter passes through all segments, so that its gradient grows from the last block to the first by the
    same sums as without segments: a segment gets the sum so far and adds what its blocks give. Unlike torch's own
    checkpointing, this leaves nothing small behind in the forward pass: with glibc, which cannot put an aligned tensor
    where an equal one was unless a neighbour is free too, that cost 1 GB at depth 1202 and batch 32.
    """

    @staticmethod
    def forward(
        ctx: Any, segment: nn.Module, keep: bool, shared: list[Tensor], own: list[Tensor], x: Tensor, *_: Tensor
    ) -> tuple[Tensor, ...]:
        device = x.device.type
        ctx.segment, ctx.parameters = segment, (shared, own)
        # No cache of half-precision weights: one that was filled without gradients would be used with them.
        ctx.autocast = device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device), False
        ctx.save_for_backward(x)
        start, out = _run(ctx, x, with_graph=keep)
        ctx.graph = (start, out) if keep else None
        return out.detach(), *(parameter.detach() for parameter in shared)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *sums: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.graph is None:
            (x,) = ctx.saved_tensors
            with _copied_buffers(ctx.segment):
                ctx.graph = _run(ctx, x, with_graph=True)
        (start, out), ctx.graph = ctx.graph, None
        shared, own = ctx.parameters
        inputs = [tensor for tensor in (start, *shared, *own) if tensor.requires_grad]
        found = torch.autograd.grad((out, *shared), inputs, (gradient, *sums))
        # Copied, because they lie scattered between the activations, of which this leaves one free piece.
        gradients = [tensor.clone() for tensor in found]
        before = [None] * (4 if start.requires_grad else 5)
        return *before, *gradients


def _run(ctx: Any, x: Tensor, with_graph: bool) -> tuple[Tensor, Tensor]:
    """The segment's input, a leaf, and its output, in the precision of the forward pass."""
    start = x.detach().requires_grad_(ctx.needs_input_grad[4])
    with torch.set_grad_enabled(with_graph), torch.autocast(*ctx.autocast):
        return start, ctx.segment(start)


@contextmanager
def _copied_buffers(module: nn.Module) -> Iterator[None]:
    """Inside, the module has copies of its buffers: running statistics stay as the first forward pass left them.

    Copies, because with a momentum of 0 batch normalisation would still count the batch and make NaN of an infinite
    variance (0·∞).
    """
    owned = [(owner, name, buffer) for owner in module.modules() for name, buffer in owner.named_buffers(recurse=False)]
    for owner, name, buffer in owned:
        setattr(owner, name, buffer.clone())
    try:
        yield
    finally:
        for owner, name, buffer in owned:
            setattr(owner, name, buffer)
