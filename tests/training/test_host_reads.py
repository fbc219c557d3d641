"""A step waits for its device nowhere but at one copy, which is on its way while the backward pass runs."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from taunode import build
from taunode.api import compose
from taunode.data.augmentation import Augmentation
from taunode.data.images import Images
from taunode.data.loader import TrainLoader
from taunode.data.share import Share
from taunode.plan.freeze import Freezer
from taunode.training import readback, team
from taunode.training.loop import Conditions, fit
from taunode.training.progress import Quiet
from taunode.training.team import Team
from training.small import Memory

NETWORKS = {
    "batch norm": ["arch=resnet20", "arch.depth=8"],
    "learned τ": ["arch=resnet20", "arch.depth=8", "tau.learn=block"],
    "no norm": ["arch=resnet20_nobn", "arch.depth=8"],
    "bottlenecks": ["arch=resnet50", "dataset=synthetic", "dataset.image_size=32"],
    "flow ResNet": ["arch=rkhs_resnet18"],
    "momentum": ["arch=momentum_resnet", "arch.depth=8"],
    "RKHS": ["arch=rkhs_node", "arch.layers=3"],
    "SHL": ["arch=shl_node", "arch.layers=3", "solver=rk4"],
}
SMALL = ["no norm", "RKHS"]
OTHERS = ["fp32", "fp64"]
OPTIMIZERS = ["sgd", "adamw", "muon"]


class MeansReadError(Exception):
    """The epoch's means are asked for, which is a read: the steps are over."""


def frozen(tmp_path, *words):
    words = ("dataset=digits", "schedule.epochs=1", "schedule.batch_size=4", "schedule.warmup_epochs=0", *words)
    return Freezer(tmp_path).freeze(compose(words))[0]


def images(config) -> Images:
    data = config["dataset"]
    pixels = np.zeros((7, data["channels"], data["image_size"], data["image_size"]), dtype=np.uint8)
    return Images(pixels, np.arange(7, dtype=np.int64) % data["classes"])


def changed(model: nn.Module, **options) -> nn.Module:
    """What `to` does, which cannot change fake tensors in place: other values, the same shapes."""
    for module in model.modules():
        for key, parameter in module.named_parameters(recurse=False):
            setattr(module, key, nn.Parameter(torch.empty_like(parameter, **options), parameter.requires_grad))
        for key, buffer in module.named_buffers(recurse=False):
            kept = {**options, "dtype": options.get("dtype") if buffer.is_floating_point() else buffer.dtype}
            setattr(module, key, torch.empty_like(buffer, **kept))
    return model


def train(config, monkeypatch, *, world: int = 1, precision: str = "fp32") -> int:
    """How many steps, of two, were done without a read."""
    reads: list[tuple[int, ...]] = []

    def read(self: readback.Readback) -> list[float]:
        assert self._host is not None
        reads.append(tuple(self._host.shape))
        return [4.0, 1.0, 0.0, 0.0]

    def over(self: object) -> None:
        raise MeansReadError

    monkeypatch.setattr(readback.Readback, "read", read)
    monkeypatch.setattr("taunode.training.metrics.Means.read", over)
    monkeypatch.setattr(team.dist, "all_reduce", lambda tensor, *_: None)
    monkeypatch.setattr(Team, "replica", lambda self, model, device: model)
    schedule, optimizer = build.schedule(config), build.optimizer(config)
    device = torch.device("cpu")
    monkeypatch.setattr(nn.Module, "double", lambda model: changed(model, dtype=torch.float64))
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = build.network(config)
        shape = Augmentation([0.5], [0.25], 1, True)
        loader = TrainLoader(images(config), shape, 4, 0, device, Share(0, world))
        conditions = Conditions(device, lambda: False, 1e9, False, False, Team(Share(0, world)))
        with pytest.raises(MeansReadError):
            fit(model, loader, {}, schedule, optimizer, precision, conditions, Memory(), Quiet(1))
    assert set(reads) <= {(4,)}
    return len(reads)


@pytest.mark.parametrize(("name", "precision"), [*((name, "bf16") for name in NETWORKS), *product(SMALL, OTHERS)])
def test_no_network_reads(name, precision, tmp_path, monkeypatch):
    assert train(frozen(tmp_path, *NETWORKS[name]), monkeypatch, precision=precision) == 2


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_optimizer_reads(optimizer, tmp_path, monkeypatch):
    words = ["arch=resnet20", "arch.depth=8", f"optimizer={optimizer}", "optimizer.clip_norm=1"]
    assert train(frozen(tmp_path, *words), monkeypatch) == 2


def test_nor_do_several_processes(tmp_path, monkeypatch):
    assert train(frozen(tmp_path, *NETWORKS["no norm"]), monkeypatch, world=2) == 2


@pytest.mark.parametrize("name", NETWORKS)
def test_a_forward_pass_mixes_no_devices(name, tmp_path):
    config = frozen(tmp_path, *NETWORKS[name])
    model, data = build.network(config), config["dataset"]
    with FakeTensorMode(allow_non_fake_inputs=True):
        changed(model, device="cuda")
        inputs = torch.empty(4, data["channels"], data["image_size"], data["image_size"], device="cuda")
        assert model(inputs).device.type == "cuda"
