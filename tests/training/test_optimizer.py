"""Optimizers against their formulas in float64, and what all have in common: decay, clipping, groups, one state."""

import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from taunode import build
from taunode.api import compose
from taunode.errors import BadInput
from taunode.models.network import Network
from taunode.training.optimizer import AdamW, Muon, Optimizer, Sgd, Updates
from training.small import Perceptron, sgd

RATES = (0.1, 0.1, 0.05)


def adamw(**changes: Any) -> AdamW:
    settings: dict[str, Any] = {"betas": [0.9, 0.99], "eps": 1e-8, "weight_decay": 0.1, "decay": "all"}
    return AdamW(**(settings | {"clip_norm": None} | changes))


def muon(**changes: Any) -> Muon:
    settings: dict[str, Any] = {"momentum": 0.9, "betas": [0.9, 0.99], "eps": 1e-8, "weight_decay": 0.1, "decay": "all"}
    return Muon(**(settings | {"clip_norm": None} | changes))


def composed(*overrides: str) -> dict[str, Any]:
    config: Any = OmegaConf.to_container(compose(overrides), resolve=True)
    return dict(config)


class Convolutions(Network):
    """A stem, hidden kernels, a normalisation, and a readout; everything that has a role."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.hidden = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.Conv2d(6, 4, 1))
        self.head = nn.Linear(4, 3)
        self.tau = nn.Parameter(torch.tensor(0.5))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head((self.tau * self.hidden(self.stem(images).relu())).mean((2, 3)))
        return logits

    def parameter_groups(self) -> list[dict[str, Any]]:
        rest = [parameter for name, parameter in self.named_parameters() if name != "tau"]
        return [{"params": [self.tau], "lr_factor": 0.1}, {"params": rest, "lr_factor": 1.0}]

    def learned_tau(self) -> float | None:
        return self.tau.item()


def network(kind: Callable[[], Network] = Convolutions, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return kind().double()


def loss_of(model: Network, step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    shape = (5, 6) if isinstance(model, Perceptron) else (5, 3, 6, 6)
    images = torch.randn(shape, dtype=torch.float64, generator=generator)
    return nn.functional.cross_entropy(model(images), torch.arange(5) % 3)


def trained(model: Network, updates: Updates, steps: range = range(len(RATES))) -> Network:
    for step in steps:
        loss = loss_of(model, step)
        updates.zero_grad()
        loss.backward()
        updates.step(RATES[step])
    return model


def by_formula(model: Network, change: Callable[[str, Tensor, Tensor, dict[str, Any], int], Tensor]) -> Network:
    """The same steps written out; `change` of (name, value, gradient, memory, step from 1) is for a rate of 1."""
    factors = {id(p): group["lr_factor"] for group in model.parameter_groups() for p in group["params"]}
    memory: dict[str, dict[str, Any]] = {name: {} for name, _ in model.named_parameters()}
    for step, rate in enumerate(RATES):
        gradients = torch.autograd.grad(loss_of(model, step), list(model.parameters()))
        with torch.no_grad():
            for (name, value), gradient in zip(model.named_parameters(), gradients, strict=True):
                value -= rate * factors[id(value)] * change(name, value.clone(), gradient, memory[name], step + 1)
    return model


def assert_close(one: nn.Module, other: nn.Module) -> None:
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], rtol=0, atol=1e-12, msg=name)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd(nesterov: bool) -> None:
    def change(name: str, value: Tensor, gradient: Tensor, memory: dict[str, Any], step: int) -> Tensor:
        gradient = gradient + 1e-3 * value
        memory["v"] = 0.9 * memory.get("v", 0) + gradient
        velocity: Tensor = gradient + 0.9 * memory["v"] if nesterov else memory["v"]
        return velocity

    model = network()
    assert_close(trained(model, sgd(nesterov=nesterov).updates(model)), by_formula(network(), change))


def adam_change(name: str, value: Tensor, gradient: Tensor, memory: dict[str, Any], step: int) -> Tensor:
    memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * gradient
    memory["v"] = 0.99 * memory.get("v", 0) + 0.01 * gradient**2
    m, v = memory["m"] / (1 - 0.9**step), memory["v"] / (1 - 0.99**step)
    change: Tensor = 0.1 * value + m / (v.sqrt() + 1e-8)
    return change


def test_adamw() -> None:
    model = network()
    assert_close(trained(model, adamw().updates(model)), by_formula(network(), adam_change))


def test_muon_makes_the_singular_values_of_hidden_weights_equal_and_leaves_the_rest_to_adamw() -> None:
    """One but for the five Newton-Schulz steps, which leave 0.65 to 1.25 of those between 1/2 and 1."""
    before, model, copy = network(), network(), network()
    for one in (model, copy):
        for parameter in one.parameters():
            parameter.grad = gradient_of(parameter)
    muon(weight_decay=0.0).updates(model).step(0.1)
    adamw(weight_decay=0.0).updates(copy).step(0.1)
    after, adam = dict(model.named_parameters()), dict(copy.named_parameters())
    for name, value in before.named_parameters():
        if name in ("hidden.0.weight", "hidden.2.weight"):
            change = (value - after[name]).detach().flatten(1)
            u, _, v = torch.linalg.svd(gradient_of(value).flatten(1), full_matrices=False)
            seen = u.T @ change @ v.T / (0.1 * 0.2 * math.sqrt(max(change.shape)))
            assert seen.diag().min() > 0.65
            assert seen.diag().max() < 1.25
            assert (seen - seen.diag().diag()).abs().max() < 0.05
        else:
            assert torch.equal(after[name], adam[name])


def gradient_of(parameter: Tensor) -> Tensor:
    """Some gradient; of a kernel one whose singular values are between 1/2 and 1."""
    generator = torch.Generator().manual_seed(parameter.numel())
    drawn = torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
    if parameter.dim() < 2:
        return drawn
    u, s, v = torch.linalg.svd(drawn.flatten(1), full_matrices=False)
    return (u @ torch.linspace(1, 0.5, len(s), dtype=torch.float64).diag() @ v).view_as(parameter)


def test_muon_trains_a_kernel_as_it_trains_the_matrix_that_it_is() -> None:
    class Matrix(Network):
        def __init__(self, is_kernel: bool) -> None:
            super().__init__()
            weight = torch.randn(6, 18, generator=torch.Generator().manual_seed(3))
            self.weight = nn.Parameter(weight.unflatten(1, (2, 3, 3)) if is_kernel else weight)

        def parameter_groups(self) -> list[dict[str, Any]]:
            return [{"params": [self.weight], "lr_factor": 1.0}]

        def learned_tau(self) -> None:
            return None

    kernel, matrix = Matrix(True), Matrix(False)
    for model in (kernel, matrix):
        updates = muon().updates(model)
        for step in range(4):
            weight = model.weight.flatten(1)
            updates.zero_grad()
            (weight @ torch.full((18,), 0.1) - step).square().sum().backward()
            updates.step(0.1)
    assert torch.equal(kernel.weight.flatten(1), matrix.weight)


def test_the_memory_format_changes_nothing_but_rounding() -> None:
    """A kernel whose channels lie last is seen as a matrix with its columns in another order."""
    plain, last = network(), network().to(memory_format=torch.channels_last)
    for model in (plain, last):
        trained(model, muon().updates(model))
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(value, last.state_dict()[name], rtol=0, atol=2e-3)  # Newton-Schulz is in bfloat16


@pytest.mark.parametrize("make", [sgd, adamw, muon])
def test_decay_of_weights_leaves_the_rest_alone(make: Callable[..., Optimizer]) -> None:
    """Without gradients a step is its decay; SGD's of the first step as well."""
    for decay, others in (("all", 0), ("weights", 1)):
        model, before = network(), dict(network().named_parameters())
        updates = make(weight_decay=0.5, decay=decay).updates(model)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        updates.step(0.1)
        for name, value in model.named_parameters():
            kept = 1 - 0.05 * (0.1 if name == "tau" else 1.0)
            is_weight = value.dim() > 1
            torch.testing.assert_close(value, before[name] * (kept if is_weight or not others else 1.0))


@pytest.mark.parametrize("make", [sgd, adamw, muon])
def test_gradients_are_shortened_together_and_only_where_they_are_longer(make: Callable[..., Optimizer]) -> None:
    model = network()
    loss_of(model, 0).backward()
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm().item()
    updates = make(clip_norm=norm / 4).updates(model)
    whole = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    updates.step(0.1)
    for parameter, gradient in zip(model.parameters(), whole, strict=True):
        torch.testing.assert_close(parameter.grad, gradient / 4, rtol=1e-5, atol=0)
    free, loose = network(), network()
    trained(free, make().updates(free))
    trained(loose, make(clip_norm=100 * norm).updates(loose))
    assert all(torch.equal(value, loose.state_dict()[name]) for name, value in free.state_dict().items())


@pytest.mark.parametrize("make", [sgd, adamw, muon])
def test_every_parameter_is_trained_once(make: Callable[..., Optimizer]) -> None:
    model = network()
    updates = make().updates(model)
    before = [parameter.clone() for parameter in model.parameters()]
    trained(model, updates, range(1))
    assert not any(torch.equal(value, old) for value, old in zip(model.parameters(), before, strict=True))
    groups = [group for stepper in updates._steppers for group in stepper.param_groups]
    assert sum(len(group["params"]) for group in groups) == len(before)


@pytest.mark.parametrize("make", [sgd, lambda: sgd(nesterov=True), adamw, muon])
def test_its_state_is_one_and_goes_on(make: Callable[..., Optimizer]) -> None:
    whole = network()
    trained(whole, make().updates(whole))
    first = network()
    updates = make().updates(first)
    trained(first, updates, range(2))
    file = io.BytesIO()
    torch.save({"model": first.state_dict(), "optimizer": updates.state_dict()}, file)
    saved = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    second = network(seed=1)
    second.load_state_dict(saved["model"])
    updates = make().updates(second)
    updates.load_state_dict(saved["optimizer"])
    trained(second, updates, range(2, 3))
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in whole.state_dict().items())


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_state_of_the_first_release_goes_on(norm: str) -> None:
    """Its SGD had a group for each `lr_factor`, in the order in which the network's modules have one."""

    def built() -> Network:
        return build.network(build.complete(composed("arch=resnet", "arch.depth=8", f"arch.norm={norm}"))).double()

    def first_release(model: Network) -> torch.optim.SGD:
        groups: dict[float, list[nn.Parameter]] = {}
        for module in model.modules():
            groups.setdefault(getattr(module, "lr_factor", 1.0), []).extend(module.parameters(recurse=False))
        described = [{"params": params, "lr_factor": factor, "lr": 0.1} for factor, params in groups.items() if params]
        return torch.optim.SGD(described, momentum=0.9, weight_decay=1e-3)

    def loss(model: Network, step: int) -> Tensor:
        images = torch.randn(5, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        return nn.functional.cross_entropy(model(images), torch.arange(5))

    model = built()
    old = first_release(model)
    for step, rate in enumerate(RATES):
        if step == 2:
            saved = ({k: v.clone() for k, v in model.state_dict().items()}, old.state_dict())
            saved = torch.load(_written(saved), weights_only=True)
        old.zero_grad()
        loss(model, step).backward()
        for group in old.param_groups:
            group["lr"] = rate * group["lr_factor"]
        old.step()
    continued = built()
    continued.load_state_dict(saved[0])
    updates = sgd().updates(continued)
    updates.load_state_dict(saved[1])
    loss(continued, 2).backward()
    updates.step(RATES[2])
    assert all(torch.equal(value, continued.state_dict()[name]) for name, value in model.state_dict().items())


def _written(value: Any) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(value, file)
    return io.BytesIO(file.getvalue())


@pytest.mark.parametrize(
    ("make", "key", "value"),
    [
        (sgd, "momentum", 1.0),
        (sgd, "momentum", -0.1),
        (lambda **changes: sgd(nesterov=True, **changes), "momentum", 0.0),
        (sgd, "weight_decay", math.nan),
        (sgd, "weight_decay", -1.0),
        (sgd, "clip_norm", 0.0),
        (sgd, "clip_norm", math.inf),
        (adamw, "betas", [0.9]),
        (adamw, "betas", [0.9, 1.0]),
        (adamw, "eps", 0.0),
        (adamw, "weight_decay", math.inf),
        (muon, "momentum", 1.0),
        (muon, "betas", [-0.1, 0.9]),
    ],
)
def test_what_cannot_be_is_refused_with_key_and_value(make: Callable[..., Optimizer], key: str, value: Any) -> None:
    with pytest.raises(BadInput) as caught:
        make(**{key: value})
    assert f"optimizer.{key} must be" in str(caught.value)
    assert str(value) in str(caught.value)


def test_muon_needs_a_torch_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(BadInput, match=r"optimizer: Muon is in torch 2\.9 and later, this is "):
        muon()


def test_a_key_of_another_optimizer_has_no_place() -> None:
    config = composed("optimizer=adamw")
    assert isinstance(build.optimizer(config), AdamW)
    config["optimizer"]["momentum"] = 0.9
    with pytest.raises(BadInput, match=r"unknown key optimizer\.momentum; valid: .*betas"):
        build.optimizer(config)
    assert isinstance(build.optimizer(composed()), Sgd)


def test_there_is_one_where_the_schedule_trains_and_none_where_it_does_not() -> None:
    config = composed()
    with pytest.raises(BadInput, match="optimizer must be one of its options, got null"):
        build.optimizer({**config, "optimizer": None})
    still = composed("schedule=initialisation")
    assert build.optimizer(still) is None
    with pytest.raises(BadInput, match="schedule=initialisation trains nothing: optimizer must be null"):
        build.optimizer({**still, "optimizer": config["optimizer"]})
