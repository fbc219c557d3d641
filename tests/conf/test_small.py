"""The small experiments, run as a user runs them: each shows what its paper says, as one inequality.

`TAUNODE_EXPERIMENTS=DIR` runs all of them, in DIR, where a second time they are only read (`make experiments`);
without it the quickest are run, in a temporary directory.
"""

import math
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, linear_regression, stdev
from typing import Any

import pytest
from cli import taunode

from taunode.runs.directory import SweepDirectory
from taunode.runs.signature import flatten

PLACE = os.environ.get("TAUNODE_EXPERIMENTS")
slow = pytest.mark.skipif(not PLACE, reason="takes minutes: make experiments")

Cells = dict[tuple[Any, ...], list[dict[str, Any]]]
RunSmall = Callable[..., Cells]


@pytest.fixture
def small(tmp_path: Path) -> RunSmall:
    """Runs `experiment=small/<name>`; gives the summaries, with the state, of each cell of the named keys."""
    here = tmp_path if PLACE is None else Path(PLACE).absolute()

    def run(name: str, *keys: str) -> Cells:
        here.mkdir(parents=True, exist_ok=True)
        taunode("-m", f"experiment=small/{name}", cwd=here)
        cells: Cells = defaultdict(list)
        for run in SweepDirectory(here / "sweeps" / "small" / name):
            config = dict(flatten(run.read_config()))
            record = run.read_record()
            cells[tuple(config.get(key) for key in keys)].append(
                {**record.summary, **record.facts, "state": record.state}
            )
        return dict(cells)

    return run


def mean(cell: list[dict[str, Any]], name: str = "final_test_error") -> float:
    """Of a cell in which nothing diverged."""
    assert {run["state"] for run in cell} == {"done"}
    return fmean(run[name] for run in cell)


def spread(cell: list[dict[str, Any]]) -> float:
    """Standard deviation of the final test error over the seeds of a cell."""
    return stdev(run["final_test_error"] for run in cell)


def diverged(cell: list[dict[str, Any]]) -> bool:
    """Whether every run of a cell did."""
    return {run["state"] for run in cell} == {"diverged"}


def test_forward_stability(small):
    cells = small("forward_stability", "arch.depth", "tau.exponent")
    depths, exponents = sorted({depth for depth, _ in cells}), sorted({exponent for _, exponent in cells})

    def growths(exponent: float) -> list[float]:
        return [mean(cells[depth, exponent], "final_growth") for depth in depths]

    for depth in depths:
        growth = [mean(cells[depth, exponent], "final_growth") for exponent in exponents]
        assert growth == sorted(growth, reverse=True)
    for explodes in (0, 0.25):
        assert growths(explodes) == sorted(growths(explodes))
    blocks = [cells[depth, 0.5][0]["blocks"] for depth in depths]
    logs = [fmean(math.log(run["final_growth"]) for run in cells[depth, 0.5]) for depth in depths]
    assert abs(linear_regression(blocks, logs).slope) < 0.01
    assert growths(0)[-1] > 1e6


def test_smooth_init(small):
    """τ = 1/√L keeps independent weights from growing with L, and smooth ones not; 1/L keeps both."""
    cells = small("smooth_init", "arch.depth", "tau.exponent", "init._target_")
    smooth, depths = "taunode.models.init.Smooth", (20, 56, 110)

    def growths(exponent: float, init: str | None) -> list[float]:
        return [mean(cells[depth, exponent, init], "final_growth") for depth in depths]

    assert growths(0.5, smooth) == sorted(growths(0.5, smooth))
    assert growths(0.5, smooth)[-1] > 3 * growths(0.5, smooth)[0]
    for bounded in (growths(0.5, None), growths(1.0, None), growths(1.0, smooth)):
        assert max(bounded) < 1.2 * min(bounded)


@slow
def test_preactivation(small):
    """With τ = 1 an identity skip path learns at depths at which a ReLU behind every sum does not."""
    cells = small("preactivation", "arch.depth", "tau.exponent", "arch.residual")
    for depth in (56, 110):
        assert mean(cells[depth, 0.0, "post_activation"]) > 2 * mean(cells[depth, 0.0, "pre_activation"])


@slow
def test_momentum(small):
    """With τ = 1 and without BN the residual network diverges at depth 56, with a velocity it learns."""
    cells = small("momentum", "arch.depth", "arch.gamma", "tau.exponent")
    assert diverged(cells[56, 0, 0.0])
    assert mean(cells[56, 0.9, 0.0]) < 20


@slow
def test_lr_transfer(small):
    """With τ = 1/√L the best rate of depth 8 serves depth 56; with 1 none does; with 1/L it would have to rise."""
    cells = small("lr_transfer", "arch.depth", "tau.exponent", "schedule.lr")
    rates = sorted({rate for *_, rate in cells})

    def best(depth: int, exponent: float) -> int:
        """The place of the best rate among those at which no seed diverged."""
        means = {
            place: mean(cells[depth, exponent, rate])
            for place, rate in enumerate(rates)
            if {run["state"] for run in cells[depth, exponent, rate]} == {"done"}
        }
        return min(means, key=means.__getitem__)

    assert abs(best(56, 0.5) - best(8, 0.5)) <= 1
    assert mean(cells[56, 0.5, rates[best(8, 0.5)]]) < 40
    assert all(mean(cells[depth, 0.0, rates[best(depth, 0.0)]]) < 40 for depth in (8, 20))
    for rate in rates:
        assert all(run["state"] == "diverged" or run["final_test_error"] > 80 for run in cells[56, 0.0, rate])
    slower = [mean(cells[depth, 1.0, 0.3], "final_train_loss") for depth in (8, 20, 56)]
    assert slower == sorted(slower)
    assert slower[-1] > 2 * slower[0]


@slow
def test_without_norm(small):
    """At the rate that its validation split chooses each method learns depth 56, which τ = 1 alone does not."""
    cells = small("without_norm", "init._target_", "tau.scale", "tau.exponent", "tau.learn", "schedule.lr")
    rates: dict[tuple[Any, ...], list[list[dict[str, Any]]]] = defaultdict(list)
    for (*method, _), cell in cells.items():
        rates[tuple(method)].append(cell)
    for cell in rates.pop((None, 1, 0, "none")):
        assert all(run["state"] == "diverged" or run["final_test_error"] > 80 for run in cell)
    assert len(rates) == 5
    for found in rates.values():
        whole = [cell for cell in found if {run["state"] for run in cell} == {"done"}]
        best = min(whole, key=lambda cell: mean(cell, "final_validation_error"))
        assert mean(best) < 30


@slow
def test_cifar_depth_bn(small):
    cells = small("cifar_depth_bn", "arch.depth", "tau.exponent")
    assert mean(cells[110, 0.0]) > 2 * mean(cells[110, 0.5])


@slow
def test_cifar_depth_nobn(small):
    cells = small("cifar_depth_nobn", "arch.depth", "tau.exponent")
    assert diverged(cells[56, 0.0])
    assert diverged(cells[110, 0.0])
    assert all(mean(cells[depth, 0.5]) < 20 for depth in (20, 56, 110))


@slow
def test_cifar_tau_nobn(small):
    cells = small("cifar_tau_nobn", "tau.exponent", "tau.scale")
    assert diverged(cells[0.0, 1.0])
    assert mean(cells[0.25, 1.0]) > 60
    assert all(mean(cells[tau]) < 30 for tau in ((0.4, 1.0), (0.5, 1.0), (1.0, 1.0), (0.5, 0.5)))


@slow
def test_mnist_fig1a(small):
    cells = small("mnist_fig1a", "arch._target_", "arch.layers")
    for network in ("taunode.models.ode.RkhsNode", "taunode.models.ode.ShlNode"):
        assert mean(cells[network, 5]) < mean(cells[network, 10]) < mean(cells[network, 20])


@slow
def test_mnist_fig1b(small):
    cells = small("mnist_fig1b", "arch._target_", "embedding.passes")
    for network in ("taunode.models.ode.RkhsNode", "taunode.models.ode.ShlNode"):
        assert mean(cells[network, 100]) < mean(cells[network, 0])


def test_mnist_fig2(small):
    cells = small("mnist_fig2", "arch.channels")
    assert mean(cells[32,]) < mean(cells[8,]) < mean(cells[4,])
    assert spread(cells[4,]) > max(spread(cells[32,]), spread(cells[8,]))


@slow
def test_cifar_fig3(small):
    cells = small("cifar_fig3", "arch._target_", "arch.layers")
    for network in ("taunode.models.flow_resnet.RkhsResNet", "taunode.models.flow_resnet.ShlResNet"):
        assert mean(cells[network, 10], "final_train_loss") < mean(cells[network, 1], "final_train_loss")


@slow
def test_imagenet_bn(small):
    cells = small("imagenet_bn", "arch.depth", "tau.exponent")
    assert mean(cells[101, 0.5], "final_train_error") < mean(cells[101, 0.0], "final_train_error")


@slow
def test_imagenet_nobn(small):
    cells = small("imagenet_nobn", "tau.exponent")
    assert diverged(cells[0.0,])
    assert {run["state"] for run in cells[0.5,]} == {"done"}
