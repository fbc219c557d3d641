"""The parametrization: how rates, initial weights and multipliers follow a network's width and depth, by role.

A rule answers for each role of parameters and each kind of optimizer: one factor for all would be no µP.

    input    weights from the image to the width        hidden   weights from width to width
    vector   as many numbers as the width: biases,      readout  weights from the width to the classes
             gains of a normalisation, τ a channel      scalar   what no width changes: a shared τ, the readout's bias
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from taunode.errors import BadInput
from taunode.models.network import Network
from taunode.models.norm import Conv

Role = Literal["input", "hidden", "readout", "vector", "scalar"]
Kind = Literal["sgd", "adam"]  # whose steps are as long as the gradient, or as the rate


@dataclass(frozen=True)
class Factors:
    """What a parameter gets.

    Attributes:
        rate: on its learning rate.
        std: of its initial values, in units of those of the network of width 1; None: as they are drawn.
        multiplier: on the weights where they are used. Of hidden weights that is τ.
    """

    rate: float = 1.0
    std: float | None = None
    multiplier: float = 1.0


class Parametrization(ABC):
    """A rule. At width 1 and one block every factor is 1.

    It comes after the network's `init`: it multiplies the weights that this left by what their role has in this width.
    """

    def needs_independent_blocks(self) -> bool:
        """Whether it is derived for blocks whose weights are drawn alike and independently, whatever the depth."""
        return False

    @abstractmethod
    def factors(self, role: Role, kind: Kind, blocks: int, width: float, in_block: bool = True) -> Factors:
        """
        Args:
            blocks: L, the number of residual blocks.
            width: in units of the architecture's own.
            in_block: whether the parameter is one of a residual block's.
        """


@final
@dataclass(frozen=True, kw_only=True)
class PowerLaw(Parametrization):
    """lr·L^α·width^β for all parameters alike: `depth_exponent` is α, `width_exponent` β."""

    depth_exponent: float
    width_exponent: float

    def factors(self, role: Role, kind: Kind, blocks: int, width: float, in_block: bool = True) -> Factors:
        return Factors(rate=float(blocks) ** self.depth_exponent * width**self.width_exponent)


@final
@dataclass(frozen=True, kw_only=True)
class MaximalUpdate(Parametrization):
    """µP: every layer's features move by as much as they can, whatever the width.

    Yang, Hu et al., "Tensor Programs V" (arXiv 2203.03466), table 3, the form without multipliers; "fan" is here the
    width. With `depthwise` Depth-µP (Yang, Yu, Zhu, Hayou, "Tensor Programs VI", arXiv 2310.02244): τ = c/√L with any
    c, and the weights of the blocks learn at lr/√L where the optimizer divides the gradient's size out, which has that
    factor already where it does not. It is derived for blocks of one layer with an identity skip path.
    """

    depthwise: bool

    def needs_independent_blocks(self) -> bool:
        return self.depthwise

    def factors(self, role: Role, kind: Kind, blocks: int, width: float, in_block: bool = True) -> Factors:
        deep = float(blocks) ** -0.5 if self.depthwise and in_block and kind == "adam" else 1.0
        match role, kind:
            case "input", "sgd":
                return Factors(width, std=1.0)
            case "input", "adam":
                return Factors(std=1.0)
            case "hidden", "sgd":
                return Factors(std=width**-0.5)
            case "hidden", "adam":
                return Factors(deep / width, std=width**-0.5)
            case "readout", _:
                return Factors(1 / width, std=1 / width)
            case "vector", "sgd":
                return Factors(width)
            case "vector", "adam":
                return Factors(deep)
            case _:
                return Factors()


def roles(network: Network) -> Iterator[tuple[str, nn.Parameter, Role, float]]:
    """Every trained parameter, in the network's order: its name, itself, its role, its `lr_factor`."""
    groups = {id(parameter): group for group in network.parameter_groups() for parameter in group["params"]}
    for name, parameter in network.named_parameters():
        if (group := groups.get(id(parameter))) is not None:
            yield name, parameter, _role(name, parameter, group), group["lr_factor"]


def _role(name: str, parameter: nn.Parameter, group: dict[str, Any]) -> Role:
    is_readout = name.startswith("head.") or group.get("role") == "readout"
    if parameter.dim() == 0 or (parameter.dim() == 1 and is_readout):
        return "scalar"
    if "role" in group:
        role: Role = group["role"]
        return role
    if is_readout:
        return "readout"
    if parameter.dim() < 2 or name.endswith(".tau"):  # a τ a channel has the shape (channels, 1, 1)
        return "vector"
    return "input" if "stem" in name.split(".") else "hidden"


def of_blocks(network: Network) -> set[int]:
    """The ids of the parameters of residual blocks; of all where a network has none."""
    chain = network.chain()
    modules = [network] if chain is None else chain.blocks
    return {id(parameter) for module in modules for parameter in module.parameters()}


def prepare(network: Network, rule: Parametrization, kind: Kind) -> None:
    """Give a network that has just been drawn the initial weights and the multipliers of a rule, in place.

    Raises:
        BadInput: the rule has a multiplier for hidden weights.
    """
    (blocks, width), inside = network.size(), of_blocks(network)
    for name, parameter, role, _ in roles(network):
        factors = rule.factors(role, kind, blocks, width, id(parameter) in inside)
        module = network.get_submodule(name.rpartition(".")[0])
        if factors.std is not None:
            with torch.no_grad():
                parameter.mul_(factors.std / _drawn(module, role, width))
        if factors.multiplier != 1:
            if role not in ("input", "readout"):
                raise BadInput(f"parametrization: a multiplier for {name}; of hidden weights it is τ, others have none")
            module.register_forward_pre_hook(functools.partial(_multiply, factors.multiplier))


def _drawn(module: nn.Module, role: Role, width: float) -> float:
    """The standard deviation with which weights are drawn, in units of those of width 1.

    Always 1/√(what grows): the numbers that are summed, or in `Conv` the outputs, which grow in the stem as well.
    """
    return float(width**-0.5) if role != "input" or isinstance(module, Conv) else 1.0


def _multiply(multiplier: float, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return inputs[0] * multiplier, *inputs[1:]
