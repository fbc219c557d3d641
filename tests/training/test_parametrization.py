"""Parametrizations: the papers' tables, and what they are for: features that move alike at any width and depth."""

import math
import re
from pathlib import Path
from statistics import fmean, linear_regression
from typing import Any, get_args

import pytest
import torch
from cli import plan
from torch import Tensor, nn

from taunode import build
from taunode.api import compose
from taunode.errors import BadInput
from taunode.models.network import Network
from taunode.training.optimizer import Optimizer
from taunode.training.parametrization import (
    Factors,
    Kind,
    MaximalUpdate,
    Parametrization,
    PowerLaw,
    Role,
    prepare,
    roles,
)
from training.small import sgd
from training.test_optimizer import adamw, muon

NARROW = 32  # width 1
MUP, DEPTH_MUP = MaximalUpdate(depthwise=False), MaximalUpdate(depthwise=True)


class ResidualPerceptron(Network):
    """x ↦ readout(h_L), h_l = h_{l−1} + τ·W_l ReLU(h_{l−1}): blocks of one layer with an identity skip path."""

    def __init__(self, width: float, blocks: int, tau: float) -> None:
        super().__init__()
        channels = round(NARROW * width)
        self.width, self.blocks, self.tau = width, blocks, tau
        self.stem = nn.Linear(8, channels)
        self.layers = nn.ModuleList(nn.Linear(channels, channels, bias=False) for _ in range(blocks))
        self.head = nn.Linear(channels, 4)

    def features(self, inputs: Tensor) -> Tensor:
        features: Tensor = self.stem(inputs)
        for layer in self.layers:
            features = features + self.tau * layer(features.relu())
        return features

    def size(self) -> tuple[int, float]:
        return self.blocks, self.width

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(inputs))
        return logits

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr_factor": 1.0}]

    def learned_tau(self) -> float | None:
        return None


def trained(
    rule: Parametrization | None,
    optimizer: Optimizer,
    lr: float,
    width: float = 1.0,
    blocks: int = 3,
    beta: float = 0.0,
    seed: int = 0,
    steps: int = 4,
) -> tuple[ResidualPerceptron, float, list[float]]:
    """Some steps on the same eight samples: the network, the RMS by which its features moved, its losses."""
    torch.manual_seed(seed)
    network = ResidualPerceptron(width, blocks, blocks**-beta).double()
    if rule is not None:
        prepare(network, rule, optimizer.kind)
    updates = optimizer.updates(network, rule)
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(8, 8, dtype=torch.float64, generator=generator)
    before, losses = network.features(inputs).detach(), []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(network(inputs), torch.arange(8) % 4)
        losses.append(loss.item())
        updates.zero_grad()
        loss.backward()
        updates.step(lr)
    return network, (network.features(inputs) - before).detach().square().mean().sqrt().item(), losses


def slope(
    rule: Parametrization | None, optimizer: Optimizer, lr: float, key: str, values: list[int], **how: Any
) -> float:
    """The power of `key`, the width or the blocks, with which the movement of features grows."""
    moved = [
        fmean(math.log(trained(rule, optimizer, lr, seed=seed, **{key: value}, **how)[1]) for seed in range(3))
        for value in values
    ]
    return linear_regression([math.log(value) for value in values], moved).slope


@pytest.mark.parametrize(
    ("optimizer", "lr", "widths", "without"),
    [(sgd(), 0.05, [1, 2, 4, 8, 16], 0.2), (adamw(), 0.003, [1, 2, 4, 8, 16], 0.6), (muon(), 0.003, [1, 2, 4], 0.08)],
    ids=["sgd", "adamw", "muon"],
)
def test_with_mup_features_move_alike_at_every_width(
    optimizer: Optimizer, lr: float, widths: list[int], without: float
) -> None:
    """The coordinate check. Without it the wider ones move more, in the first step already."""
    assert abs(slope(MUP, optimizer, lr, "width", widths)) < 0.1
    assert abs(slope(MUP, optimizer, lr, "width", widths, steps=1)) < 0.1
    assert slope(None, optimizer, lr, "width", widths, steps=1) > without


@pytest.mark.parametrize(("optimizer", "lr"), [(sgd(), 0.05), (adamw(), 0.003)], ids=["sgd", "adamw"])
def test_with_depth_mup_features_move_alike_at_every_depth(optimizer: Optimizer, lr: float) -> None:
    """Blocks of one layer, τ = 1/√L. With Adam's rate unchanged they move by √L more, with τ = 1 they explode."""
    depths = [4, 8, 16, 32, 64]
    assert abs(slope(DEPTH_MUP, optimizer, lr, "blocks", depths, beta=0.5)) < 0.1
    assert slope(DEPTH_MUP, optimizer, lr, "blocks", depths[:3], beta=0.0, steps=1) > 1
    if optimizer.kind == "adam":
        assert 0.35 < slope(MUP, optimizer, lr, "blocks", depths, beta=0.5) < 0.6


def test_a_power_law_is_one_factor_for_all() -> None:
    rule = PowerLaw(depth_exponent=-0.5, width_exponent=-1.0)
    assert {rule.factors(role, kind, 16, 4.0) for role in get_args(Role) for kind in get_args(Kind)} == {
        Factors(1 / 16)
    }


TABLE: dict[tuple[Role, Kind], Factors] = {  # of width 4: rate, standard deviation
    ("input", "sgd"): Factors(4.0, 1.0),
    ("input", "adam"): Factors(1.0, 1.0),
    ("hidden", "sgd"): Factors(1.0, 0.5),
    ("hidden", "adam"): Factors(0.25, 0.5),
    ("readout", "sgd"): Factors(0.25, 0.25),
    ("readout", "adam"): Factors(0.25, 0.25),
    ("vector", "sgd"): Factors(4.0),
    ("vector", "adam"): Factors(1.0),
    ("scalar", "sgd"): Factors(),
    ("scalar", "adam"): Factors(),
}


@pytest.mark.parametrize(("role", "kind"), TABLE)
def test_mup_is_table_3_of_tensor_programs_v(role: Role, kind: Kind) -> None:
    assert MUP.factors(role, kind, 9, 4.0) == TABLE[role, kind]
    deep = DEPTH_MUP.factors(role, kind, 9, 4.0)
    in_blocks = kind == "adam" and role in ("hidden", "vector")
    assert deep.rate == pytest.approx(TABLE[role, kind].rate / (3 if in_blocks else 1))
    assert deep.std == TABLE[role, kind].std
    assert DEPTH_MUP.factors(role, kind, 9, 4.0, in_block=False) == TABLE[role, kind]  # of the stem, of a last norm


def test_a_multiplier_can_be_exchanged_for_variance_and_rate() -> None:
    """Table 8 has one for the readout and is the same training as table 3: the symmetry of their appendix J."""

    class WithMultiplier(Parametrization):
        def factors(self, role: Role, kind: Kind, blocks: int, width: float, in_block: bool = True) -> Factors:
            if role != "readout":
                return MUP.factors(role, kind, blocks, width)
            return Factors(width if kind == "sgd" else 1.0, std=1.0, multiplier=1 / width)

    for optimizer in (sgd(weight_decay=0.0), adamw(weight_decay=0.0, eps=1e-30)):
        one, other = (trained(rule, optimizer, 0.01, width=4.0) for rule in (MUP, WithMultiplier()))
        assert one[2] == pytest.approx(other[2], abs=1e-12)
        torch.testing.assert_close(one[0].head.weight, other[0].head.weight / 4, rtol=0, atol=1e-12)


def test_hidden_weights_have_their_multiplier_in_tau() -> None:
    class Hidden(Parametrization):
        def factors(self, role: Role, kind: Kind, blocks: int, width: float, in_block: bool = True) -> Factors:
            return Factors(multiplier=0.5)

    with pytest.raises(BadInput, match=r"parametrization: a multiplier for stem\.bias"):
        prepare(ResidualPerceptron(1.0, 2, 1.0), Hidden(), "sgd")


@pytest.mark.parametrize("rule", [MUP, DEPTH_MUP, PowerLaw(depth_exponent=-0.5, width_exponent=1.0)])
def test_at_width_1_and_one_block_a_rule_changes_nothing(rule: Parametrization) -> None:
    for role in get_args(Role):
        for kind in get_args(Kind):
            assert rule.factors(role, kind, 1, 1.0) in (Factors(), Factors(std=1.0))
    plain, ruled = (trained(each, adamw(), 0.01, blocks=1) for each in (None, rule))
    assert plain[2] == ruled[2]


ROLES = {
    "arch=resnet20": {"stem.conv.weight": "input", "stages.0.0.branch.conv1.conv.weight": "hidden"},
    "arch=resnet20_nobn": {"stages.0.0.branch.conv1.before.bias": "scalar", "stages.0.0.scale.tau": "scalar"},
    "arch=resnet20 tau.learn=channel": {"stages.1.0.scale.tau": "vector", "stem.norm.weight": "vector"},
    "arch=resnet50": {"stages.0.0.shortcut.conv.weight": "hidden", "head.weight": "readout", "head.bias": "scalar"},
    "arch=resnet arch.residual=pre_activation init=fixup arch.norm=none tau=one tau.learn=block": {
        "stages.0.0.branch.conv1.conv.conv.weight": "hidden",
        "last.1.bias": "scalar",
    },
    "arch=momentum_resnet arch.initial_velocity=learned": {
        "stages.1.0.velocity.conv1.conv.weight": "hidden",
        "stages.0.1.branch.conv2.norm.weight": "vector",
        "last.norm.weight": "vector",
    },
    "arch=shl_resnet18": {"body.stem.conv.weight": "input", "body.stage1.0.branch.output.weight": "hidden"},
    "arch=rkhs_node": {"field.w.0": "hidden"},
}


@pytest.mark.parametrize("words", ROLES)
def test_the_roles_of_our_networks(words: str) -> None:
    size = ["dataset.image_size=32"] if "resnet50" in words else []
    network = build.network(frozen(*words.split(), "dataset=synthetic", *size), device="meta")
    found = {name: role for name, _, role, _ in roles(network)}
    assert found.items() >= ROLES[words].items()
    assert set(found) == {name for name, parameter in network.named_parameters() if parameter.requires_grad}


def frozen(*overrides: str) -> dict[str, Any]:
    from omegaconf import OmegaConf

    config: Any = OmegaConf.to_container(compose(overrides), resolve=True)
    return build.complete(config)


def test_a_role_that_the_network_says_counts() -> None:
    class Said(ResidualPerceptron):
        def parameter_groups(self) -> list[dict[str, Any]]:
            inner = {"params": [layer.weight for layer in self.layers], "lr_factor": 1.0, "role": "readout"}
            return [inner, {"params": [self.head.weight], "lr_factor": 1.0, "role": "hidden"}]

    found = {name: role for name, _, role, _ in roles(Said(1.0, 2, 1.0))}
    assert found == {"layers.0.weight": "readout", "layers.1.weight": "readout", "head.weight": "hidden"}


FIXUP = ["init=fixup", "arch=resnet20_nobn", "tau=one", "tau.learn=block"]


@pytest.mark.parametrize("init", [["init=smooth"], ["init=zero_last"], FIXUP])
def test_a_parametrization_multiplies_what_an_initialisation_left(init: list[str]) -> None:
    """By roles alone, so that zero stays zero and what is smooth in depth stays smooth."""
    config = frozen("arch.width=2", *init, "dataset=synthetic", "parametrization=mup")
    plain, ruled = build.network({**config, "parametrization": None}), build.network(config)
    before = dict(plain.named_parameters())
    for name, parameter, role, _ in roles(ruled):
        factor = {"input": 2**0.5, "readout": 2**-0.5}.get(role, 1.0)
        torch.testing.assert_close(parameter, before[name] * factor)


@pytest.mark.parametrize(("init", "name"), [(["init=smooth"], "Smooth"), (FIXUP, "Fixup")])
def test_two_that_follow_the_depth_are_refused_together(init: list[str], name: str) -> None:
    config = frozen(*init, "dataset=synthetic", "parametrization=depth_mup")
    for refuse in (build.network, build.parametrization):
        with pytest.raises(BadInput, match=f"init={name} and parametrization=MaximalUpdate with depthwise both"):
            refuse(config)
    with_root = frozen("tau=inverse_sqrt", "dataset=synthetic", "parametrization=depth_mup")
    assert build.parametrization(with_root) == DEPTH_MUP


@pytest.mark.parametrize(
    ("tau", "said"),
    [
        ("one", "1"),
        ("inverse", "L^-1"),
        ("decreasing", "l^-1/2·ln(l+1)^-1"),
        ("constant tau.scale=0.5", "0.5"),
        ("constant tau.scale=0 tau.learn=block", "0 learned per block"),
        ("listed tau.each=[0.5,0.5,0.5]", "0.5×3"),
        ("null", "null"),
    ],
)
def test_depth_mup_wants_tau_to_be_a_constant_over_the_root_of_the_depth(tau: str, said: str) -> None:
    """arXiv 2310.02244, section 1: the branches times a/√L, and with Adam the rate over √L."""
    words = "arch=rkhs_node" if tau == "null" else f"arch=resnet arch.depth=8 tau={tau}"
    config = frozen(*words.split(), "dataset=synthetic", "parametrization=depth_mup")
    with pytest.raises(BadInput, match=re.escape(f"tau=inverse_sqrt, τ = c/√L with any c, got τ = {said};")):
        build.parametrization(config)


def test_a_sweep_with_depth_mup_is_planned_or_refused_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rules = "parametrization=standard,depth_mup"
    assert len(plan("tau=inverse_sqrt", "arch.depth=8,14", rules).runs) == 4
    with pytest.raises(BadInput, match=r"got τ = L\^-1; or parametrization\.depthwise=false"):
        plan("tau=inverse_sqrt,inverse", rules)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "tau", ["inverse_sqrt", "inverse_sqrt tau.scale=0.3 tau.learn=shared", "inverse_sqrt_largest_stage"]
)
def test_depth_mup_takes_any_constant(tau: str) -> None:
    config = frozen(*f"tau={tau}".split(), "dataset=synthetic", "parametrization=depth_mup")
    assert build.parametrization(config) == DEPTH_MUP


def test_a_network_is_built_with_its_rule_and_its_weights_are_loaded_as_they_are() -> None:
    config = frozen("parametrization=mup", "dataset=synthetic")
    network = build.network(config)
    plain = build.network({**config, "parametrization": None})
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in network.state_dict().items())
