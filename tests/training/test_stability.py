"""What a run without training measures; the laws of depth and τ are in tests/models/test_signatures.py."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from taunode.models.flow_resnet import ShlResNet
from taunode.models.resnet import CifarResNet
from taunode.models.tau import PowerLaw
from taunode.training.schedule import Initialisation
from taunode.training.stability import measure, measure_run
from training.small import Memory

DATA = {"channels": 3, "image_size": 8, "classes": 5}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def network(depth: int = 8, scale: float = 1.0, exponent: float = 0.5) -> CifarResNet:
    torch.manual_seed(0)
    tau = PowerLaw(scale, exponent)
    return CifarResNet(depth=depth, norm="none", tau=tau, in_channels=3, image_size=8, classes=5)


def test_the_gradient_is_linear_in_the_read_out_and_the_growth_does_not_see_it() -> None:
    net, images, readout = network().double(), torch.randn(4, 3, 8, 8).double(), torch.randn(4, 5).double()
    once, twice = measure(net, images, readout), measure(net, images, 2 * readout)
    assert twice.growth == once.growth
    assert twice.stem_gradient == pytest.approx(2 * once.stem_gradient, rel=1e-12)
    assert not any(parameter.grad is not None for parameter in net.parameters())


def test_it_is_what_the_layers_one_by_one_give() -> None:
    net, images, readout = network().double(), torch.randn(4, 3, 8, 8).double(), torch.randn(4, 5).double()
    found = measure(net, images, readout)
    stem = net.stem(images)
    last = net.stages(stem)
    assert found.growth == pytest.approx((last.square().mean() / stem.square().mean()).sqrt().item(), rel=1e-12)
    (net.head(last.mean((2, 3))) * readout).sum().backward()
    gradient = net.stem.get_parameter("conv.weight").grad
    assert gradient is not None
    assert found.stem_gradient == pytest.approx(gradient.norm().item(), rel=1e-12)


def test_a_flow_resnet_grows_as_its_blocks_say() -> None:
    net = ShlResNet(layers=3, zero_init=False, tau=PowerLaw(0.5, 0.0), in_channels=3, image_size=8, classes=5).double()
    images, readout = torch.randn(4, 3, 8, 8).double(), torch.randn(4, 5).double()
    found = measure(net, images, readout)
    net.train()
    last, stem = net.body(images), net.body.stem(images)
    assert found.growth == pytest.approx((last.square().mean() / stem.square().mean()).sqrt().item(), rel=1e-12)


def looked(net: CifarResNet, seed: int = 0, precision: Any = "fp64") -> tuple[dict[str, Any], Memory]:
    files = Memory()
    return measure_run(net, Initialisation(batch_size=4), DATA, seed, precision, CPU, files), files


def test_a_run_is_one_row_before_the_first_epoch() -> None:
    summary, files = looked(network())
    (row,) = files.metrics
    assert row == {"epoch": 0, "growth": summary["final_growth"], "stem_gradient": summary["final_stem_gradient"]}
    assert (summary["epochs"], summary["steps"]) == (0, 0)
    assert "diverged_epoch" not in summary
    assert files.kept == {}
    assert looked(network())[1].metrics == [row]
    assert looked(network(), seed=1)[1].metrics != [row]
    (single,) = looked(network(), precision="fp32")[1].metrics
    assert single == pytest.approx(row, rel=1e-4)
    assert single != row


def test_what_a_precision_cannot_hold_is_divergence() -> None:
    """18 blocks with τ = 1e5 grow by about 90 decades: float32 ends at 38, float64 at 308."""
    double, _ = looked(network(38, scale=1e5, exponent=0.0))
    single, _ = looked(network(38, scale=1e5, exponent=0.0), precision="fp32")
    assert double["final_growth"] > 1e60
    assert "diverged_epoch" not in double
    assert (single["diverged_epoch"], math.isfinite(single["final_stem_gradient"])) == (0, False)
