"""Initialisations of residual blocks, applied to a network that was drawn by its own rule.

The networks' own rule is He's, N(0, 2/(k²·C_out)) for τ-ResNets. The others: the last layer of every branch at zero
(Goyal et al., "Accurate, Large Minibatch SGD", arXiv 1706.02677, section 5.1); Fixup (Zhang, Dauphin, Ma, arXiv
1901.09321); and weights that are smooth in depth (Marion, Fermanian, Biau, Vert, "Scaling ResNets in the Large-depth
Regime", arXiv 2206.06929), which move the threshold of τ = L^−β from β = 1/2 to β = 1. A parametrization comes after
them: it multiplies weights by what their role has in this width. No torch where it is not used: freezing a
configuration asks these classes.
"""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

from taunode.errors import BadInput
from taunode.models.tau import TauRule

if TYPE_CHECKING:
    from torch import Tensor, nn

    from taunode.models.parts import Chain


class Init(ABC):
    """Changes the weights of a chain of residual blocks, each of which has a `branch`, as they were drawn."""

    biases: ClassVar[bool] = False  # whether the network gets a scalar bias before its head
    depthwise: ClassVar[bool] = False  # whether it says how weights follow the number of blocks

    @abstractmethod
    def apply(self, chain: "Chain", tau: TauRule) -> None:
        """Change the weights in place.

        Raises:
            BadInput: this is not for such blocks, or not for such a τ.
        """


@final
class ZeroLast(Init):
    """The last layer of every branch is zero, so that the branch is: a batch normalisation's γ, or a convolution."""

    def apply(self, chain: "Chain", tau: TauRule) -> None:
        for block in chain.blocks:
            last = [layer for layer in _branch(block).modules() if _is_parameter(getattr(layer, "weight", None))][-1]
            _set_to_zero(last)


@final
class Fixup(Init):
    """For networks without normalisation, so that one step changes the output alike whatever the depth.

    In a branch of m convolutions the last is zero, the others are multiplied by L^(−1/(2m−2)), L the number of blocks;
    the head is zero. Of the paper's biases the network without normalisation has those around the convolutions, and
    gets one before the head; its multiplier is a learned τ of 1 a block.
    """

    biases = True
    depthwise = True

    def apply(self, chain: "Chain", tau: TauRule) -> None:
        import torch

        if any(isinstance(layer, torch.nn.BatchNorm2d) for block in chain.blocks for layer in block.modules()):
            raise BadInput("init=fixup is for networks without normalisation: arch.norm=none")
        if tau.learn != "block" or set(tau.values([len(chain.blocks)])) != {1.0}:
            raise BadInput("init=fixup has a learned τ of 1 a block as its multiplier: tau=one tau.learn=block")
        with torch.no_grad():
            for block in chain.blocks:
                *others, last = _weights(_branch(block))
                last.zero_()
                for weight in others:
                    weight *= len(chain.blocks) ** (-1 / (2 * len(others)))
        _set_to_zero(chain.head)


@final
@dataclass(frozen=True)
class Smooth(Init):
    """Weights that are Gaussian processes in depth s = l/L, with covariance exp(−(s − s')²/(2·length²)).

    Blocks whose weights have the same shape are one process, the rest stay independent. Every weight keeps its own
    distribution. A length below the distance of two blocks, 1/L, leaves them nearly independent.
    """

    depthwise = True

    length: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.length) and self.length > 0):
            raise BadInput(f"init.length must be a finite number > 0, got {self.length}")

    def apply(self, chain: "Chain", tau: TauRule) -> None:
        import torch

        processes: dict[tuple[Any, ...], list[tuple[float, Tensor]]] = defaultdict(list)
        for number, block in enumerate(chain.blocks, start=1):
            for place, weight in enumerate(_weights(_branch(block))):
                processes[place, *weight.shape].append((number / len(chain.blocks), weight))
        for members in processes.values():
            depths, weights = zip(*members, strict=True)
            if weights[0].is_meta:
                continue
            root = self.root(depths).to(weights[0].device)
            mixed = torch.einsum("ab,b...->a...", root, torch.stack(weights).detach().double())
            for weight, value in zip(weights, mixed, strict=True):
                weight.detach().copy_(value)

    def root(self, depths: Sequence[float]) -> "Tensor":
        """A (n, n) with A·Aᵀ the covariance of these depths, float64: times independent weights it makes smooth ones.

        The covariance's eigenvalues fall so fast that rounding makes some negative; to set those to zero changes it
        by less than rounding did, where Cholesky's factor would need a jitter.
        """
        import torch

        s = torch.tensor(depths, dtype=torch.float64, device="cpu")
        covariance = torch.exp(-((s[:, None] - s) ** 2) / (2 * self.length**2))
        values, vectors = torch.linalg.eigh(covariance)
        root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        return root


def _branch(block: "nn.Module") -> "nn.Module":
    branch: nn.Module = block.get_submodule("branch")
    return branch


def _weights(branch: "nn.Module") -> "list[Tensor]":
    """Of the convolutions and linear maps of a branch, in order: all parameters but biases and normalisations."""
    return [parameter for parameter in branch.parameters() if parameter.ndim > 1]


def _is_parameter(value: object) -> bool:
    from torch import nn

    return isinstance(value, nn.Parameter)


def _set_to_zero(layer: "nn.Module") -> None:
    from torch import nn

    for parameter in layer.parameters(recurse=False):
        nn.init.zeros_(parameter)
