"""Probes: they change nothing, survive a stop, and are the norms they say."""

import copy
import functools
import math
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from multirun_analysis.stats.coordinate_check import coordinate_check
from taunode.api import build_model, compose
from taunode.models.momentum import MomentumResNet
from taunode.models.network import Network
from taunode.models.resnet import CifarResNet
from taunode.models.tau import PowerLaw
from taunode.training.loop import Stopped
from taunode.training.parametrization import MaximalUpdate, prepare
from taunode.training.probes import COLUMNS, MEASURED
from training.small import Batches, Memory, Perceptron, sgd, steps, stop_after, train
from training.test_loop import images

MUP = MaximalUpdate(depthwise=False)
PLAIN = sgd(momentum=0.0, weight_decay=0.0)
SHAPE = {"in_channels": 3, "image_size": 8, "classes": 10}
NODE = ["arch.layers=2", "arch.channels=4", "arch.hidden_channels=4", "arch.zero_init=false", "dataset=synthetic"]


class Dropping(Network):
    """A network that draws random numbers when it trains, without blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.second = nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.Linear(4 * 36, 10)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.second(self.drop(self.first(images).relu()).flatten(1))
        return logits


def resnet(norm: str = "batch", learn: str = "none", **more: Any) -> Network:
    return CifarResNet(depth=14, norm=norm, tau=PowerLaw(0.8, 0.5, learn=learn), **SHAPE, **more)


def node(solver: str) -> Network:
    return build_model(compose(["arch=rkhs_node", f"solver={solver}", *NODE]))


NETWORKS = {
    "batch": resnet,
    "shared τ": lambda: resnet("none", "shared"),
    "segments": lambda: resnet(learn="shared", checkpoint_segments=3),
    "momentum": lambda: MomentumResNet(14, "batch", 0.9, PowerLaw(1.0, 0.5), initial_velocity="learned", **SHAPE),
    "midpoint": lambda: node("midpoint"),
    "adaptive": lambda: node("adaptive_heun"),
    "dropout": Dropping,
}


def built(name: str) -> Network:
    torch.manual_seed(0)
    return NETWORKS[name]()


def trained(name: str, probes: int | None, **more: Any) -> Memory:
    torch.manual_seed(1)
    files = Memory()
    lr = 2.0 if name in ("midpoint", "adaptive") else 0.05
    train(built(name), *images(), steps(epochs=2, lr=lr, milestones=[1]), files, probes=probes, **more)
    return files


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_of_a_run_changes_by_a_bit(name: str) -> None:
    plain, probed = trained(name, None, checkpoint_seconds=0.0), trained(name, 3, checkpoint_seconds=0.0)
    assert probed.metrics == plain.metrics
    for kind, weights in plain.kept.items():
        assert all(torch.equal(value, probed.kept[kind][key]) for key, value in weights.items())
    assert plain.probed.empty
    states = [files.newest() for files in (plain, probed)]
    assert "probes" not in states[0]
    assert torch.equal(states[0]["generator"], states[1]["generator"])
    for part in ("model", "best_weights"):
        assert all(torch.equal(value, states[1][part][key]) for key, value in states[0][part].items())
    assert len(plain.checkpoints) == len(probed.checkpoints)
    assert sorted(set(probed.probed["step"])) == [0, 3, 6]


def test_nothing_changes_in_half_precision_either() -> None:
    plain, probed = (trained("shared τ", probes, precision="bf16") for probes in (None, 1))
    assert probed.metrics == plain.metrics
    assert all(torch.equal(value, probed.kept["model"][key]) for key, value in plain.kept["model"].items())
    assert sorted(set(probed.probed["step"])) == list(range(8))


@pytest.mark.parametrize("name", ["batch", "segments", "adaptive", "dropout"])
def test_stopped_and_continued_they_are_the_same(name: str) -> None:
    whole = trained(name, 2)
    for asked, done in ((1, 1), (3, 3), (7, 6)):  # also at the end of an epoch
        stopped, continued = Memory(), Memory()
        lr = 2.0 if name == "adaptive" else 0.05
        schedule = steps(epochs=2, lr=lr, milestones=[1])
        torch.manual_seed(1)
        with pytest.raises(Stopped):
            train(built(name), *images(), schedule, stopped, probes=2, stop=stop_after(asked))
        assert sorted(set(stopped.probed["step"])) == list(range(0, done, 2))  # what a killed attempt leaves
        torch.manual_seed(99)
        train(built(name), *images(), schedule, continued, probes=2, checkpoint=stopped.newest())
        pd.testing.assert_frame_equal(continued.probed, whole.probed, check_exact=True)
    quiet = Memory()
    train(built(name), *images(), schedule, quiet, checkpoint=stopped.newest())
    pd.testing.assert_frame_equal(quiet.probed, stopped.probed)  # switched off, the rows before stay


def test_the_table_has_the_columns_that_are_documented() -> None:
    found = trained("batch", 3).probed
    assert tuple(found.columns) == COLUMNS
    parts = [("stem", 0), *(("block", block) for block in range(1, 7)), ("head", 7)]
    for step, rows in found.groupby("step"):
        assert list(zip(rows["part"], rows["block"], strict=True)) == parts
        assert set(rows["epoch"]) == {step // 4}
    assert set(found.loc[found["branch"].isna(), "part"]) == {"stem", "head"}
    assert found.drop(columns=["branch", "part"]).notna().all().all()
    knots = trained("midpoint", 3).probed
    assert list(knots.loc[knots["step"] == 0, "part"]) == ["stem", "knot", "knot", "knot", "head"]
    assert knots.loc[knots["part"] == "stem", "update"].isna().all()  # frozen
    layers = trained("dropout", 3).probed
    assert list(layers.loc[layers["step"] == 0, "part"]) == ["layer"] * 3


@pytest.mark.parametrize("name", ["batch", "shared τ", "segments", "momentum"])
def test_the_norms_are_what_the_layers_one_by_one_give(name: str) -> None:
    """In float64, against one step written out: plain SGD at a rate of 0.1."""
    model = built(name).double()
    x, labels = torch.randn(20, 3, 8, 8, dtype=torch.float64), torch.arange(20) % 10
    files = Memory()
    plain = steps(epochs=1, lr=0.1, milestones=[], warmup_epochs=0.0)
    twin = copy.deepcopy(model)
    train(model, Batches(x, labels, 20), {"test": Batches(x, labels, 20)}, plain, files, probes=1, optimizer=PLAIN)

    chain = twin.chain()
    assert chain is not None
    shared = [scale.averaged() for block in chain.blocks[:1] if getattr(scale := block.scale, "uses", 1) > 1]

    def walk(network: Any) -> list[Tensor]:
        stem, blocks, _ = network.chain()
        states = [stem(x)]
        for block in blocks:
            states.append(block(states[-1], *shared))
        features = [state if isinstance(state, Tensor) else state[0] for state in states]
        return [*features, network.head(network.last(features[-1]).mean((2, 3)))]

    states = walk(twin)
    gradients = torch.autograd.grad(cross_entropy(states[-1], labels), states, retain_graph=True)
    cross_entropy(states[-1], labels).backward()
    after = walk(model.train())
    rows = files.probed
    for place, module in enumerate([chain.stem, *chain.blocks, chain.head]):
        row = rows.iloc[place]
        assert row["features"] == pytest.approx(states[place].square().mean().sqrt().item(), rel=1e-10)
        assert row["feature_gradient"] == pytest.approx(gradients[place].norm().item(), rel=1e-10)
        change = (after[place] - states[place])[:16].square().mean().sqrt().item()
        if not shared:  # which are those of before, here
            assert row["feature_change"] == pytest.approx(change, rel=1e-8)
        squares = sum(p.grad.square().sum().item() for p in module.parameters())
        assert row["gradient"] == pytest.approx(math.sqrt(squares), rel=1e-10)
        assert row["weights"] == pytest.approx(
            math.sqrt(sum(p.square().sum().item() for p in module.parameters())), rel=1e-12
        )
        factors = {id(p): g["lr_factor"] for g in twin.parameter_groups() for p in g["params"]}
        moved = sum((0.1 * factors[id(p)] * p.grad).square().sum().item() for p in module.parameters())
        assert row["update"] == pytest.approx(math.sqrt(moved), rel=1e-10)
        if row["part"] == "block":
            before = states[place - 1] if name != "momentum" or place == 1 else None
            if before is not None:
                added = module.scale(module.branch(before), *shared)
                assert row["branch"] == pytest.approx(added.square().mean().sqrt().item(), rel=1e-10)


def test_segments_are_seen_as_the_plain_network_is() -> None:
    tables = []
    for segments in (None, 1, 4):
        torch.manual_seed(0)
        files = Memory()
        net = resnet(learn="shared", checkpoint_segments=segments)
        train(net, *images(), steps(epochs=1, lr=0.05), files, probes=2)
        tables.append(files.probed)
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], check_exact=True)


def test_a_compiled_network_is_seen_as_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    plain, compiled = (trained("batch", 4, compile=compile) for compile in (False, True))
    numbers = list(MEASURED)
    pd.testing.assert_frame_equal(plain.probed[numbers], compiled.probed[numbers])


def test_what_diverges_is_seen_until_then() -> None:
    files = Memory()
    summary = train(resnet("none"), *images(), steps(epochs=4, lr=1e12), files, probes=1)
    assert "diverged_epoch" in summary
    assert len(set(files.probed["step"])) == summary["steps"] >= 1
    assert not files.probed["update"].isna().all()


def test_a_network_of_one_layer_after_another_is_seen_too() -> None:
    torch.manual_seed(0)
    files = Memory()
    data = Batches(torch.randn(20, 6, dtype=torch.float64), torch.arange(20) % 3, 8)
    train(Perceptron().double(), data, {"test": data}, steps(), files, probes=5)
    assert set(files.probed["part"]) == {"layer"}
    assert files.probed["feature_change"].gt(0).all()


def table(width: float, exponents: dict[str, float], blocks: int = 2, seed: int = 0) -> pd.DataFrame:
    rows = [("stem", 0), *(("block", block) for block in range(1, blocks + 1)), ("head", blocks + 1)]
    columns = {name: 3.0 * width**p * (1 + 0.01 * seed) for name, p in exponents.items()}
    return pd.DataFrame([{"step": s, "part": part, "block": b, **columns} for s in (0, 1) for part, b in rows])


def test_the_coordinate_check_gives_the_exponent() -> None:
    exponents = {"features": 0.0, "feature_change": 0.5}
    found = coordinate_check({w: table(w, exponents) for w in (1, 2, 8)})
    assert len(found) == 2 * 4 * 2
    for quantity, exponent in exponents.items():
        assert found.loc[found["quantity"] == quantity, "slope"].tolist() == pytest.approx([exponent] * 8, abs=1e-12)
    seeds = {w: pd.concat([table(w, exponents, seed=s) for s in range(3)]) for w in (1, 4)}
    assert coordinate_check(seeds)["slope"].tolist() == pytest.approx(found["slope"].tolist(), abs=1e-12)


def test_in_depth_the_coordinate_check_compares_stem_last_block_and_head() -> None:
    found = coordinate_check({b: table(b, {"features": -0.5, "feature_change": 1.0}, blocks=b) for b in (3, 9)})
    assert set(found["part"]) == {"stem", "block", "head"}
    assert len(found) == 2 * 3 * 2
    assert found["slope"].tolist() == pytest.approx([1.0, -0.5] * 6)


def sized(width: float, mup: bool) -> CifarResNet:
    """Of `width`; where µP does not say otherwise the stem starts at Θ(1), as PyTorch would draw it."""
    network = CifarResNet(8, "none", PowerLaw(1.0, 0.5), width=width, residual="pre_activation", **SHAPE)
    if mup:
        prepare(network, MUP, "sgd")
    else:
        with torch.no_grad():
            network.stem.get_parameter("conv.weight").mul_(math.sqrt(width))  # drawn by fan-out
    return network


@pytest.mark.parametrize("mup", [True, False])
def test_features_keep_their_size_in_mup_and_grow_in_the_standard_parametrisation(mup: bool) -> None:
    tables = {}
    for width in (1, 2, 8):
        found = []
        for seed in range(3):
            torch.manual_seed(seed)
            files = Memory()
            constant, rule = steps(epochs=1, lr=0.02, milestones=[], warmup_epochs=0.0), MUP if mup else None
            train(sized(width, mup), *images(), constant, files, probes=1, optimizer=PLAIN, rule=rule)
            found.append(files.probed)
        tables[width] = pd.concat(found)
    slopes = coordinate_check(tables, ["feature_change"])
    slopes = slopes[slopes["step"] > 0].groupby(["part", "block"])["slope"].mean()
    if mup:
        assert slopes.abs().max() < 0.2
    else:
        assert slopes["head"].item() > 0.6
