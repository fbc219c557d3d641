"""Momentum ResNets: their equations, what they are without a velocity, and that a step can be undone."""

import copy
import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from oracles import momentum_resnet
from torch import Tensor

from taunode import build
from taunode.errors import BadInput
from taunode.models.momentum import MomentumBlock, MomentumResNet, StageStart
from taunode.models.resnet import CifarResNet
from taunode.models.tau import PowerLaw, TauRule
from taunode.training.stability import measure

CONF = Path(__file__).parents[2] / "conf"
SHAPE = {"in_channels": 3, "image_size": 8, "classes": 10}


def net(
    gamma: float = 0.9,
    depth: int = 20,
    norm: str = "batch",
    tau: TauRule | None = None,
    velocity: str = "zero",
    segments: int | None = None,
) -> MomentumResNet:
    return MomentumResNet(
        depth=depth,
        norm=norm,
        gamma=gamma,
        initial_velocity=velocity,
        tau=tau or PowerLaw(0.8, 0.5),
        checkpoint_segments=segments,
        **SHAPE,
    )


def images(count: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(count, 3, 8, 8, dtype=dtype)


@pytest.mark.parametrize("velocity", ["zero", "learned"])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("norm", "gamma"), [("batch", 0.9), ("none", 0.9), ("batch", 0.0), ("none", 0.5)])
def test_outputs_and_gradients_are_the_oracles(norm: str, gamma: float, train: bool, velocity: str) -> None:
    built = net(gamma, norm=norm, velocity=velocity).double()
    with torch.no_grad():
        for key, parameter in built.named_parameters():
            if not key.endswith("conv.weight"):
                parameter += 0.1 * torch.randn_like(parameter)  # leave γ = 1, β = 0, b = 0 behind
        for _ in range(3):
            built(1 + 2 * images())  # running statistics
    built.train(train)
    x, target = images(), torch.randint(10, (4,))
    weights = {key: value.detach().clone() for key, value in built.state_dict().items()}
    trained = {key: weights[key].requires_grad_() for key, _ in built.named_parameters()}
    expected = momentum_resnet(weights, x, 3, PowerLaw(0.8, 0.5).values([9]), gamma, norm, train)
    logits = built(x)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)
    gradients = torch.autograd.grad(F.cross_entropy(expected, target), list(trained.values()))
    F.cross_entropy(logits, target).backward()
    for (key, parameter), gradient in zip(built.named_parameters(), gradients, strict=True):
        torch.testing.assert_close(
            parameter.grad, gradient, rtol=0, atol=1e-10, msg=lambda text, key=key: f"{key}: {text}"
        )


@pytest.mark.parametrize("learn", ["none", "shared", "block"])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_without_momentum_it_is_the_net_with_an_identity_skip_path(norm: str, learn: str) -> None:
    tau = PowerLaw(0.8, 0.5, learn=learn)
    plain = CifarResNet(depth=20, norm=norm, tau=tau, residual="pre_activation", **SHAPE).double()
    moving = net(0.0, norm=norm, tau=tau).double()
    moving.load_state_dict(plain.state_dict())
    x = images()
    found = []
    for built in (plain, moving):
        logits = built(x)
        logits.square().sum().backward()
        found.append([logits, *(p.grad for p in built.parameters()), *built.buffers()])
    assert all((a - b).abs().max() <= 1e-12 for a, b in zip(*found, strict=True))


def test_with_momentum_it_is_another() -> None:
    first, second = net(0.0), net(0.9)
    second.load_state_dict(first.state_dict())
    x = images(dtype=torch.float32)
    assert (first(x) - second(x)).abs().max() > 1e-3


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("gamma", [0.9, 0.5, 0.25])
def test_a_stage_can_be_undone(gamma: float, norm: str) -> None:
    """But for rounding, of which every inverse multiplies what there is by 1/γ."""
    built = net(gamma, depth=56, norm=norm, velocity="learned", tau=PowerLaw(0.5, 0.5, learn="shared")).double()
    x = images()
    for _ in range(3):
        built(x)
    built.eval()
    start, *blocks = built.stages[0]
    assert isinstance(start, StageStart)
    assert all(isinstance(block, MomentumBlock) for block in blocks)
    with torch.no_grad():
        before = state = start(built.stem(x))
        for block in blocks:
            state = block(state)
        for block in reversed(blocks):
            state = block.inverse(state)
    rounding = torch.finfo(torch.float64).eps * gamma ** -len(blocks)
    for found, expected in zip(state, before, strict=True):
        assert (found - expected).abs().max() <= 100 * rounding * expected.abs().max()
    if gamma == 0.9:
        assert all((a - b).abs().max() <= 1e-12 for a, b in zip(state, before, strict=True))


@pytest.mark.parametrize("velocity", ["zero", "learned"])
@pytest.mark.parametrize(("norm", "learn"), [("batch", "none"), ("none", "shared"), ("batch", "block")])
@pytest.mark.parametrize("segments", [2, 4, 9])
def test_segments_are_the_plain_computation_bit_for_bit(segments: int, norm: str, learn: str, velocity: str) -> None:
    plain = net(norm=norm, tau=PowerLaw(1.0, 0.5, learn=learn), velocity=velocity)
    checkpointed = copy.deepcopy(plain)
    checkpointed.bounds = net(segments=segments).bounds
    for built in (plain, checkpointed):
        generator = torch.Generator().manual_seed(1)
        optimizer = torch.optim.SGD([{**group, "lr": 0.05} for group in built.parameter_groups()], momentum=0.9)
        for _ in range(3):
            x = torch.randn(5, 3, 8, 8, generator=generator)
            optimizer.zero_grad()
            F.cross_entropy(built(x), torch.randint(10, (5,), generator=generator)).backward()
            optimizer.step()
    for (key, a), b in zip(plain.state_dict().items(), checkpointed.state_dict().values(), strict=True):
        assert torch.equal(a, b), key


def test_at_initialisation_it_grows_less_the_more_momentum_it_has() -> None:
    growths = []
    for gamma in (0.0, 0.5, 0.9, 0.99):
        torch.manual_seed(0)
        built = net(gamma, depth=110, norm="none", tau=PowerLaw(1.0, 0.0)).double()
        growths.append(measure(built, images(), torch.randn(4, 10, dtype=torch.float64)).growth)
    assert all(math.isfinite(growth) for growth in growths)
    assert all(first > 2 * second for first, second in pairwise(growths))


def test_compiled_it_is_one_graph() -> None:
    built = net(velocity="learned")
    x = images(dtype=torch.float32)
    expected = built(x)
    twin = copy.deepcopy(built)
    torch.testing.assert_close(torch.compile(twin, backend="eager", fullgraph=True)(x), expected)


@pytest.mark.parametrize("velocity", ["zero", "learned"])
def test_the_option_builds_it(velocity: str) -> None:
    arch = yaml.safe_load((CONF / "arch" / "momentum_resnet.yaml").read_text(encoding="utf-8"))
    tau = {"_target_": "taunode.models.tau.PowerLaw", "scale": 1.0, "exponent": 0.5, "learn": "none"}
    config = {"arch": arch | {"initial_velocity": velocity}, "tau": tau, "seed": 0}
    built = build.network({**config, "dataset": {"channels": 3, "image_size": 32, "classes": 10}})
    assert isinstance(built, MomentumResNet)
    more = sum(p.numel() for key, p in built.named_parameters() if ".velocity." in key)
    plain = CifarResNet(depth=20, norm="batch", tau=PowerLaw(1.0, 0.5), residual="pre_activation", **SHAPE)
    assert built.facts()["parameters"] == plain.facts()["parameters"] + more
    assert (more > 0) == (velocity == "learned")
    assert built.learned_tau() is None


@pytest.mark.parametrize("gamma", [1.0, -0.1, math.nan])
def test_a_gamma_out_of_range_is_named(gamma: float) -> None:
    with pytest.raises(BadInput, match=rf"^arch\.gamma must be at least 0 and below 1, got {gamma:g}$"):
        net(gamma)
