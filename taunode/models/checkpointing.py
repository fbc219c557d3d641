"""Depth in little memory: of a segment of blocks only the input is kept, and the rest computed again when needed.

Chen, Xu, Zhang, Guestrin, "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174). Outputs, gradients and
running statistics are those of the plain computation, bit for bit; the price is most of one more forward pass.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from taunode.errors import BadInput

# In a CIFAR ResNet a block keeps 4 activations (both convolutions, the inner ReLU, the sum), each of 8 MB in the first
# stage at batch 128, half and a quarter of that in the others: 19 MB a block, so 4 GB at 200 blocks, 11 GB at 600.
AUTO_ABOVE = 200  # blocks

State = Tensor | tuple[Tensor, ...]  # what a block hands to the next: features, or features and more


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


def run_in_segments(
    blocks: Sequence[nn.Module], bounds: Sequence[int], shared: Sequence[Tensor], state: State
) -> State:
    """The blocks one after another, in the segments that end at `bounds`; all but the last are computed twice.

    A block is called with what the one before it returned, a tensor or a tuple of tensors, and with the `shared`
    tensors that all of them use, such as one τ. Blocks must draw no random numbers.
    """
    if len(bounds) == 2 or not torch.is_grad_enabled():
        return _run(blocks, state, shared)
    *others, last = (blocks[start:end] for start, end in pairwise(bounds))
    if not torch.compiler.is_compiling():
        return _routed([*others, last], shared, state)
    for segment in others:  # compiled: a graph that updates running statistics once as it is
        state = checkpoint(partial(_run, segment), state, shared, use_reentrant=False, preserve_rng_state=False)
    return _run(last, state, shared)


def _run(blocks: Sequence[nn.Module], state: State, shared: Sequence[Tensor]) -> State:
    for block in blocks:
        state = block(state, *shared)
    return state


def _routed(segments: Sequence[Sequence[nn.Module]], shared: Sequence[Tensor], state: State) -> State:
    """The segments one after another, the shared tensors passing through each of them."""
    for blocks in segments:
        tensors = (state,) if isinstance(state, Tensor) else state
        own = list(dict.fromkeys(p for block in blocks for p in block.parameters() if p.requires_grad))
        segment = _Segment(blocks, blocks is segments[-1], isinstance(state, Tensor), len(tensors), own)
        found = _Step.apply(segment, *tensors, *shared, *own)
        count = len(found) - len(shared)
        state, shared = found[0] if segment.gives_tensor else found[:count], found[count:]
    return state


@dataclass
class _Segment:
    """Some blocks in one forward pass.

    Attributes:
        keep: the graph of the forward pass, instead of computing it again.
        takes_tensor, gives_tensor: whether the state before, and after, is a tensor and no tuple.
        states: how many tensors the state before has.
        own: the blocks' parameters.
    """

    blocks: Sequence[nn.Module]
    keep: bool
    takes_tensor: bool
    states: int
    own: list[nn.Parameter]
    gives_tensor: bool = True


class _Graph(NamedTuple):
    """A segment's own graph, from leaves to the tensors of the state after it."""

    start: list[Tensor]
    shared: list[Tensor]
    end: tuple[Tensor, ...]


class _Step(torch.autograd.Function):
    """A segment as one step of the outer graph; a graph of its own exists in the backward pass only, unless kept.

    A shared tensor passes through all segments, so that its gradient grows from the last block to the first by the
    same sums as without segments: a segment gets the sum so far and adds what its blocks give. Unlike torch's own
    checkpointing, this leaves nothing small behind in the forward pass: with glibc, which cannot put an aligned tensor
    where an equal one was unless a neighbour is free too, that cost 1 GB at depth 1202 and batch 32.
    """

    @staticmethod
    def forward(ctx: Any, segment: _Segment, *tensors: Tensor) -> tuple[Tensor, ...]:
        inputs = tensors[: len(tensors) - len(segment.own)]
        device = inputs[0].device.type
        ctx.segment = segment
        # No cache of half-precision weights: one that was filled without gradients would be used with them.
        ctx.autocast = device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device), False
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs)
        graph = _graph(ctx, inputs, with_graph=segment.keep)
        ctx.graph = graph if segment.keep else None
        return tuple(tensor.detach() for tensor in (*graph.end, *graph.shared))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if ctx.graph is None:
            with _copied_buffers(ctx.segment.blocks):
                ctx.graph = _graph(ctx, ctx.saved_tensors, with_graph=True)
        graph, ctx.graph = ctx.graph, None
        outputs = [
            (output, gradient)
            for output, gradient in zip((*graph.end, *graph.shared), gradients, strict=True)
            if gradient is not None and output.requires_grad
        ]
        inputs = (*graph.start, *graph.shared, *ctx.segment.own)
        wanted = [tensor for tensor in inputs if tensor.requires_grad]
        ends, given = zip(*outputs, strict=True)
        found = torch.autograd.grad(ends, wanted, given, allow_unused=True)
        # Copied, because they lie scattered between the activations, of which this leaves one free piece.
        copies = iter([None if gradient is None else gradient.clone() for gradient in found])
        return None, *(next(copies) if tensor.requires_grad else None for tensor in inputs)


def _graph(ctx: Any, inputs: Sequence[Tensor], with_graph: bool) -> _Graph:
    """The segment's blocks from their inputs, now leaves, in the precision of the forward pass."""
    segment: _Segment = ctx.segment
    needed = ctx.needs_input_grad[1:]
    leaves = [x.detach().requires_grad_(need) for x, need in zip(inputs, needed, strict=False)]
    start, shared = leaves[: segment.states], leaves[segment.states :]
    with torch.set_grad_enabled(with_graph), torch.autocast(*ctx.autocast):
        end = _run(segment.blocks, start[0] if segment.takes_tensor else tuple(start), shared)
    segment.gives_tensor = isinstance(end, Tensor)
    return _Graph(start, shared, (end,) if isinstance(end, Tensor) else end)


@contextmanager
def _copied_buffers(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, the blocks have copies of their buffers: running statistics stay as the first forward pass left them.

    Copies, because with a momentum of 0 batch normalisation would still count the batch and make NaN of an infinite
    variance (0·∞).
    """
    modules = (module for block in blocks for module in block.modules())
    owned = [(owner, name, buffer) for owner in modules for name, buffer in owner.named_buffers(recurse=False)]
    for owner, name, buffer in owned:
        setattr(owner, name, buffer.clone())
    try:
        yield
    finally:
        for owner, name, buffer in owned:
            setattr(owner, name, buffer)
