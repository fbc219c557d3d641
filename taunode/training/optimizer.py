"""The optimizer: how gradients change parameters; the rate is the schedule's.

Each option is a class that hands its parameters to torch's optimizers; `Updates` is what the loop sees of them.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, final

import torch
from torch import Tensor, nn

from taunode.absent import Absent
from taunode.errors import BadInput
from taunode.models.network import Network
from taunode.training.parametrization import Factors, Kind, Parametrization, Role, of_blocks, roles


@dataclass(frozen=True, eq=False)
class Trained:
    """A parameter, its role, what multiplies its learning rate, and its weight decay."""

    parameter: nn.Parameter
    role: Role
    lr_factor: float
    weight_decay: float


def grouped(parameters: Iterable[Trained]) -> list[dict[str, Any]]:
    """Parameters as torch's optimizers take them: those together that are treated alike."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for one in parameters:
        groups.setdefault((one.lr_factor, one.weight_decay), []).append(one.parameter)
    return [
        {"params": params, "lr_factor": lr_factor, "weight_decay": weight_decay}
        for (lr_factor, weight_decay), params in groups.items()
    ]


class Stepper(Protocol):
    """What `Updates` needs of torch's optimizers."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...
    def step(self) -> Any: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Optimizer(ABC):
    """What every optimizer says; a member adds its own numbers.

    Attributes:
        weight_decay: as each optimizer uses it, at least 0.
        decay: of which parameters: of all, or only of weights (matrices and kernels: no biases, gains, τ).
        clip_norm: the gradient of all parameters together is shortened to this Euclidean norm where it is longer.
        kind: whether a step is as long as the gradient, or as the rate; a parametrization asks.
    """

    kind: ClassVar[Kind]

    weight_decay: float
    decay: Annotated[Literal["all", "weights"], Absent("all")]
    clip_norm: Annotated[float | None, Absent(None)]

    def __post_init__(self) -> None:
        check(self, "weight_decay", 0 <= self.weight_decay < math.inf, "a finite number >= 0")
        if self.clip_norm is not None:
            check(self, "clip_norm", 0 < self.clip_norm < math.inf, "a finite number > 0, or null")

    @abstractmethod
    def steppers(self, parameters: Sequence[Trained]) -> list[Stepper]:
        """torch's optimizers for these parameters, each of which is in one of them; rates are set before each step."""

    @final
    def updates(self, network: Network, rule: Parametrization | None = None) -> "Updates":
        """What trains a network, each parameter at the rate that its group and the rule say."""
        (blocks, width), inside = network.size(), of_blocks(network)
        parameters = []
        for _, parameter, role, lr_factor in roles(network):
            factors = (
                Factors() if rule is None else rule.factors(role, self.kind, blocks, width, id(parameter) in inside)
            )
            decays = self.decay == "all" or role in ("input", "hidden", "readout")
            parameters.append(Trained(parameter, role, lr_factor * factors.rate, self.weight_decay * decays))
        return Updates([one.parameter for one in parameters], self.steppers(parameters), self.clip_norm)


class Updates:
    """The optimizers of one training as one.

    Args:
        parameters: all that are trained.
        clip_norm: as in `Optimizer`.
    """

    def __init__(self, parameters: list[nn.Parameter], steppers: list[Stepper], clip_norm: float | None) -> None:
        self._parameters, self._steppers, self._clip_norm = parameters, steppers, clip_norm

    def zero_grad(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def step(self, rate: float) -> None:
        """Change the parameters by their gradients, at this learning rate times each group's own factor."""
        if self._clip_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        for stepper in self._steppers:
            for group in stepper.param_groups:
                group["lr"] = rate * group["lr_factor"]
            stepper.step()

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [stepper.state_dict() for stepper in self._steppers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        parts = state.get("parts", [state])  # the first release kept that of its SGD
        for stepper, part in zip(self._steppers, parts, strict=True):
            stepper.load_state_dict(part)


@final
@dataclass(frozen=True, kw_only=True)
class Sgd(Optimizer):
    """v ← momentum·v + g + weight_decay·w; w ← w − lr·v, with `nesterov` w − lr·(g + weight_decay·w + momentum·v)."""

    kind = "sgd"

    momentum: float
    nesterov: Annotated[bool, Absent(False)]

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "momentum", 0 <= self.momentum < 1, "from 0 to 1, without 1")
        if self.nesterov:
            check(self, "momentum", self.momentum > 0, "more than 0 with optimizer.nesterov")

    def steppers(self, parameters: Sequence[Trained]) -> list[Stepper]:
        return [torch.optim.SGD(grouped(parameters), momentum=self.momentum, nesterov=self.nesterov)]


@final
@dataclass(frozen=True, kw_only=True)
class AdamW(Optimizer):
    """Adam, and apart from its gradients w ← (1 − lr·weight_decay)·w: Loshchilov, Hutter, arXiv 1711.05101."""

    kind = "adam"

    betas: list[float]
    eps: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_adam(self)

    def steppers(self, parameters: Sequence[Trained]) -> list[Stepper]:
        first, second = self.betas
        return [torch.optim.AdamW(grouped(parameters), betas=(first, second), eps=self.eps)]


@final
@dataclass(frozen=True, kw_only=True)
class Muon(Optimizer):
    """Of hidden weights the momentum with all its singular values made one; of the rest `AdamW`.

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). A kernel is a matrix (out, in·k·k)
    here. The steps have the size of AdamW's, 0.2·√(the larger side) as in Liu et al., arXiv 2502.16982, so one rate and
    one decay serve both.
    """

    kind = "adam"

    momentum: float
    betas: list[float]
    eps: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "momentum", 0 <= self.momentum < 1, "from 0 to 1, without 1")
        _check_adam(self)
        if not hasattr(torch.optim, "Muon"):
            raise BadInput(f"optimizer: Muon is in torch 2.9 and later, this is {torch.__version__}")

    def steppers(self, parameters: Sequence[Trained]) -> list[Stepper]:
        first, second = self.betas
        hidden, rest = ([one for one in parameters if (one.role == "hidden") is chosen] for chosen in (True, False))
        found: list[Stepper] = []
        if hidden:
            found.append(_Matrices(grouped(hidden), self.momentum))
        if rest:
            found.append(torch.optim.AdamW(grouped(rest), betas=(first, second), eps=self.eps))
        return found


class _Matrices:
    """torch's Muon, which takes matrices only, for kernels: it sees their memory as matrices (out, in·k·k)."""

    def __init__(self, groups: list[dict[str, Any]], momentum: float) -> None:
        self._kernels = [kernel for group in groups for kernel in group["params"]]
        views = [{**group, "params": [_matrix(one.detach(), one) for one in group["params"]]} for group in groups]
        self._muon = torch.optim.Muon(views, momentum=momentum, adjust_lr_fn="match_rms_adamw")
        self.state_dict, self.load_state_dict = self._muon.state_dict, self._muon.load_state_dict

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self._muon.param_groups

    def step(self) -> None:
        views = [view for group in self.param_groups for view in group["params"]]
        for view, kernel in zip(views, self._kernels, strict=True):
            view.grad = None if kernel.grad is None else _matrix(kernel.grad, kernel)
        self._muon.step()


def _matrix(tensor: Tensor, kernel: nn.Parameter) -> Tensor:
    """A tensor of a kernel's shape as a matrix, in the order of the kernel's memory, so that the kernel's is a view."""
    if not kernel.is_contiguous():
        tensor = tensor.permute(0, 2, 3, 1)  # channels last
    return tensor.reshape(len(tensor), -1)


def check(optimizer: Optimizer, name: str, is_valid: bool, valid: str) -> None:
    """
    Raises:
        BadInput: a value that cannot be, with those that can.
    """
    if not is_valid:
        raise BadInput(f"optimizer.{name} must be {valid}, got {getattr(optimizer, name)}")


def _check_adam(optimizer: AdamW | Muon) -> None:
    is_pair = len(optimizer.betas) == 2 and all(0 <= beta < 1 for beta in optimizer.betas)
    check(optimizer, "betas", is_pair, "two numbers from 0 to 1, without 1")
    check(optimizer, "eps", 0 < optimizer.eps < math.inf, "a finite number > 0")
