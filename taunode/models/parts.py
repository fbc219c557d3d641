"""The parts of a network that probes look at: stem, residual blocks or knots in time, head; else its layers."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

Kind = Literal["stem", "block", "knot", "layer", "head"]
Note = Callable[[Literal["features", "branch"], Tensor], None]


class Chain(NamedTuple):
    """The parts of a network of blocks one after another, in the order in which they are used.

    The stem's parameters begin with those that see the images; each block gives a tensor, or a tuple whose first
    member are the features; the head gives the logits.
    """

    stem: nn.Module
    blocks: list[nn.Module]
    head: nn.Module

    def parts(self) -> "list[Part]":
        blocks = (Part.of_module("block", block) for block in self.blocks)
        return [Part.of_module("stem", self.stem), *blocks, Part.of_module("head", self.head)]


class Part(NamedTuple):
    """A part with its trained parameters.

    `watch` lets a callback be told, in every forward pass until the handles are removed, of the features that the part
    gives and of what a branch adds to them, both (batch, …). Told again in one pass, the last time counts.
    """

    kind: Kind
    parameters: list[nn.Parameter]
    watch: Callable[[Note], list[RemovableHandle]]

    @classmethod
    def of_module(cls, kind: Kind, module: nn.Module) -> "Part":
        """What the module puts out; and, where it has a `branch` and a `scale`, what they give."""

        def watch(note: Note) -> list[RemovableHandle]:
            def features(_: nn.Module, __: Any, output: Tensor | tuple[Tensor, ...]) -> None:
                note("features", output if isinstance(output, Tensor) else output[0])

            handles = [module.register_forward_hook(features)]
            inner, scale = (getattr(module, name, None) for name in ("branch", "scale"))
            if isinstance(inner, nn.Module) and isinstance(scale, nn.Module):
                times_tau: nn.Module = scale

                def branch(_: nn.Module, __: Any, output: Tensor) -> None:
                    with torch.no_grad():
                        note("branch", times_tau(output.detach()))

                handles.append(inner.register_forward_hook(branch))
            return handles

        return cls(kind, trained(module.parameters()), watch)


def trained(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [parameter for parameter in parameters if parameter.requires_grad]
