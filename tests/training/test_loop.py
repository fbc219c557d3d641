"""The training loop against a plain one, and the laws of stopping, going on, diverging and choosing the best."""

import copy
import functools
import itertools
import math
from pathlib import Path
from typing import Any, cast

import pytest
import taunode.conf
import torch
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn.functional import cross_entropy

from taunode import build
from taunode.api import build_model, compose
from taunode.data import loader
from taunode.data.augmentation import Augmentation
from taunode.data.synthetic import blended
from taunode.models.network import Network
from taunode.models.solver import StepUnderflow
from taunode.training import stopwatch
from taunode.training.loop import Stopped
from taunode.training.schedule import Schedule
from training.small import Batches, Memory, Perceptron, samples, steps, stop_after, train


def perceptron(seed: int = 0) -> Perceptron:
    torch.manual_seed(seed)
    return Perceptron().double()


def error(model: torch.nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return 100 * float((model(inputs).argmax(1) != labels).double().mean())


def test_it_is_the_plain_loop() -> None:
    """SGD with momentum, weight decay, a rate for each group, warm-up and a milestone, written out in float64."""
    inputs, labels = samples(29, seed=1)  # batches of 8, 8, 8, 5
    tests = samples(11, seed=2)
    files = Memory()
    train(perceptron(), Batches(inputs, labels, 8), {"test": Batches(*tests, 4)}, steps(), files)

    model = perceptron()
    biases = (model.first.bias, model.second.bias)
    velocity = {parameter: torch.zeros_like(parameter) for parameter in model.parameters()}
    for epoch in range(4):
        total, wrong = 0.0, 0.0
        for step, (x, y) in enumerate(zip(inputs.split(8), labels.split(8), strict=True), start=1):
            rate = 0.2 * (0.1 if epoch >= 2 else 1.0) * min(1.0, (epoch + step / 4) / 1.5)
            logits = model(x)
            loss = cross_entropy(logits, y)
            total, wrong = total + loss.item() * len(x), wrong + int((logits.argmax(1) != y).sum())
            gradients = torch.autograd.grad(loss, list(velocity))
            with torch.no_grad():
                for (parameter, v), gradient in zip(velocity.items(), gradients, strict=True):
                    v.mul_(0.9).add_(gradient + 1e-3 * parameter)
                    parameter -= rate * (0.1 if any(parameter is bias for bias in biases) else 1.0) * v
        row = files.metrics[epoch]
        assert row["epoch"] == epoch + 1
        assert row["lr"] == pytest.approx(rate, rel=1e-11)
        assert row["train_loss"] == pytest.approx(total / 29, abs=1e-12)
        assert row["train_error"] == pytest.approx(100 * wrong / 29, abs=1e-12)
        assert row["test_loss"] == pytest.approx(cross_entropy(model(tests[0]), tests[1]).item(), abs=1e-12)
        assert row["test_error"] == pytest.approx(error(model, *tests), abs=1e-12)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(files.kept["model"][name], value, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (1, 3), (2, 2)])
def test_divergence_is_seen_before_the_step(bad: float, epoch: int, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights are those of a training that was stopped just before."""
    inputs, labels = samples(29, seed=1)
    done = 4 * (epoch - 1) + step - 1
    monkeypatch.setattr(stopwatch.time, "monotonic", itertools.count().__next__)

    class Spoilt(Perceptron):
        steps = 0

        def forward(self, x: Tensor) -> Tensor:
            self.steps += self.training
            return super().forward(x) * (bad if self.training and self.steps == done + 1 else 1.0)

    torch.manual_seed(0)
    model, files = Spoilt().double(), Memory()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tests = {"test": Batches(*samples(11, seed=2), 4)}
    summary = train(model, Batches(inputs, labels, 8), tests, steps(), files)
    assert (summary["diverged_epoch"], summary["diverged_step"]) == (epoch, step)
    assert (summary["epochs"], summary["steps"]) == (epoch - 1, done)
    assert len(files.metrics) == epoch - 1
    assert summary["seconds"] > 0
    assert ("best" in files.kept) == (epoch > 1)

    if done:
        stopped = Memory()
        stop = stop_after(done + (epoch > 1))  # also asked at the end of an epoch
        with pytest.raises(Stopped):
            train(perceptron(), Batches(inputs, labels, 8), tests, steps(), stopped, stop=stop)
        before = stopped.newest()["model"]
    for name, value in before.items():
        assert torch.equal(files.kept["model"][name], value)
        assert value.isfinite().all()


def test_what_the_last_step_breaks_has_diverged_too() -> None:
    """No step comes after it that would find the weights infinite; the test set does."""

    class Spoilt(Perceptron):
        steps = 0

        def forward(self, x: Tensor) -> Tensor:
            self.steps += self.training
            return super().forward(x) * (math.inf if not self.training and self.steps == 16 else 1.0)

    torch.manual_seed(0)
    tests = {"test": Batches(*samples(11, seed=2), 4)}
    summary = train(Spoilt().double(), Batches(*samples(29, seed=1), 8), tests, steps(), Memory())
    assert (summary["epochs"], summary["diverged_epoch"], summary["diverged_step"]) == (4, 4, 4)


def test_the_best_epoch_is_the_validation_sets_where_there_is_one() -> None:
    model = perceptron()
    seen: list[dict[str, Tensor]] = []
    files = Memory(lambda: seen.append({name: value.clone() for name, value in model.state_dict().items()}))
    tests = {"test": Batches(*samples(40, seed=3), 40), "validation": Batches(*samples(40, seed=6), 40)}
    schedule = steps(epochs=12, milestones=[], lr=0.05)
    summary = train(model, Batches(*samples(29, seed=1), 8), tests, schedule, files)

    def first_best(name: str) -> int:
        return min(range(12), key=lambda epoch: files.metrics[epoch][name])

    best = first_best("validation_error")
    assert best != first_best("test_error"), "choose other seeds"
    assert summary["best_epoch"] == best + 1
    assert summary["best_test_error"] == files.metrics[best]["test_error"]
    assert summary["final_test_error"] == files.metrics[-1]["test_error"]
    for name, value in files.kept["best"].items():
        assert torch.equal(value, seen[best + 1][name])  # the first tables are written before the first epoch


def resnet(norm: str, arch: str = "resnet") -> Network:
    """A new one, always the same; with a learned τ where there is no norm."""
    return copy.deepcopy(_resnet(norm, arch))


@functools.cache
def _resnet(norm: str, arch: str) -> Network:
    depth = "arch.depth=14" if arch == "momentum_resnet" else "arch.depth=8"
    return build_model(compose([f"arch={arch}", depth, f"arch.norm={norm}", "dataset=synthetic"]))


def images() -> tuple[loader.TrainLoader, dict[str, loader.TestLoader]]:
    augmentation = Augmentation([0.5], [0.25], crop_padding=1, flip=True)
    train, test = (blended(count, 10, 3, 8, 0.7, seed) for count, seed in ((37, 1), (16, 2)))
    return loader.TrainLoader(train, augmentation, 10, 5, "cpu"), {
        "test": loader.TestLoader(test, augmentation, 10, "cpu")
    }


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("arch", "norm"), [("resnet", "batch"), ("resnet", "none"), ("momentum_resnet", "batch")])
def test_stopped_anywhere_and_continued_it_is_the_same_bit_by_bit(arch: str, norm: str, precision: str) -> None:
    schedule, whole = steps(epochs=2, lr=0.05, milestones=[1]), Memory()
    train(resnet(norm, arch), *images(), schedule, whole, precision=precision)
    for step in range(1, 10):  # 4 steps an epoch, and the question at the end of the first
        stopped, continued = Memory(), Memory()
        if step < 9:
            with pytest.raises(Stopped):
                train(resnet(norm, arch), *images(), schedule, stopped, precision=precision, stop=stop_after(step))
        else:
            train(resnet(norm, arch), *images(), schedule, stopped, precision=precision, checkpoint_seconds=0.0)
        torch.manual_seed(99)
        train(resnet(norm, arch), *images(), schedule, continued, precision=precision, checkpoint=stopped.newest())
        assert continued.metrics == whole.metrics
        for kind, weights in whole.kept.items():
            assert all(torch.equal(value, continued.kept[kind][name]) for name, value in weights.items())


@pytest.mark.parametrize("solver", ["adaptive_heun", "midpoint"])
def test_the_evaluations_of_an_ode_net_are_counted_across_a_stop(solver: str) -> None:
    shape = ["arch.layers=2", "arch.channels=4", "arch.hidden_channels=4", "arch.zero_init=false"]
    built = build_model(compose(["arch=rkhs_node", f"solver={solver}", *shape, "dataset=synthetic"]))
    schedule, whole, stopped, continued = steps(epochs=1, lr=5.0, milestones=[]), Memory(), Memory(), Memory()
    train(copy.deepcopy(built), *images(), schedule, whole)
    assert whole.metrics[0]["nfe_forward"] >= 4
    with pytest.raises(Stopped):
        train(copy.deepcopy(built), *images(), schedule, stopped, stop=stop_after(2))
    train(copy.deepcopy(built), *images(), schedule, continued, checkpoint=stopped.newest())
    assert continued.metrics == whole.metrics
    assert not [name for name in whole.kept["model"] if "extra_state" in name]


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (Path(taunode.conf.__path__[0]) / group).glob("*.yaml"))


TRAINING = [f"optimizer={name}" for name in options("optimizer")]
TRAINING += [f"schedule={name}" for name in options("schedule") if name != "initialisation"]
TRAINING += [f"parametrization={name} optimizer=adamw tau=inverse_sqrt" for name in options("parametrization")]
TRAINING += [f"arch=momentum_resnet optimizer={name}" for name in ("adamw", "muon")]


@pytest.mark.parametrize("words", TRAINING)
def test_so_it_is_with_every_optimizer_schedule_and_parametrization(words: str) -> None:
    """As every option says, over two epochs; clipped, so that this has its part as well."""
    more = ["schedule.epochs=2", "schedule.lr=0.01", "optimizer.clip_norm=0.5", "arch.depth=8", "dataset=synthetic"]
    more += ["arch.norm=none", "tau.learn=shared"]
    if words.startswith("schedule=warmup"):
        more += ["schedule.decay=0.75", "schedule.warmup_epochs=0.5"]
    config = build.complete(
        cast(dict[str, Any], OmegaConf.to_container(compose([*words.split(), *more]), resolve=True))
    )
    schedule, optimizer, rule = build.schedule(config), build.optimizer(config), build.parametrization(config)
    assert isinstance(schedule, Schedule)

    def fit(files: Memory, **how: Any) -> None:
        train(build.network(config), *images(), schedule, files, optimizer=optimizer, rule=rule, **how)

    whole = Memory()
    fit(whole)
    for step in (1, 3, 5, 7):
        stopped, continued = Memory(), Memory()
        with pytest.raises(Stopped):
            fit(stopped, stop=stop_after(step))
        torch.manual_seed(99)
        fit(continued, checkpoint=stopped.newest())
        assert continued.metrics == whole.metrics
        for kind, weights in whole.kept.items():
            assert all(torch.equal(value, continued.kept[kind][name]) for name, value in weights.items())


def test_a_learned_tau_has_a_column_and_moves() -> None:
    files = Memory()
    train(resnet("none"), *images(), steps(lr=0.05), files)
    taus = [row["tau"] for row in files.metrics]
    assert len(set(taus)) == len(taus)


def test_bf16_is_only_the_forward_pass() -> None:
    fp32, bf16 = Memory(), Memory()
    for files, precision in ((fp32, "fp32"), (bf16, "bf16")):
        train(resnet("batch"), *images(), steps(lr=0.05), files, precision=precision)
    assert {value.dtype for value in bf16.kept["model"].values()} == {torch.float32, torch.int64}
    assert bf16.metrics[-1]["train_loss"] != fp32.metrics[-1]["train_loss"]
    assert bf16.metrics[0]["train_loss"] == pytest.approx(fp32.metrics[0]["train_loss"], rel=0.05)


def test_it_saves_as_often_as_asked() -> None:
    often, seldom = Memory(), Memory()
    for files, seconds in ((often, 0.0), (seldom, 1e9)):
        train(resnet("batch"), *images(), steps(epochs=2), files, checkpoint_seconds=seconds)
    assert len(often.checkpoints) == 9  # every step, and between the epochs
    assert not seldom.checkpoints


def test_every_epoch_is_in_the_tables_at_once() -> None:
    lengths: list[int] = []
    files = Memory(lambda: lengths.append(len(files.metrics)))
    train(perceptron(), Batches(*samples(29, seed=1), 8), {"test": Batches(*samples(11, 2), 4)}, steps(), files)
    assert lengths == [0, 1, 2, 3, 4]
    assert [row["epoch"] for row in files.timings] == [1, 2, 3, 4]
    assert all(row["seconds"] >= 0 and row["images_per_second"] > 0 for row in files.timings)


def test_a_solver_that_cannot_go_on_is_a_divergence_with_its_time() -> None:
    class Stiff(Perceptron):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            if self.training and self.second.bias.grad is not None:  # in the second step
                raise StepUnderflow(0.25)
            return super().forward(inputs)

    inputs, labels = samples(20, seed=0)
    files = Memory()
    model = Stiff().double()
    summary = train(model, Batches(inputs, labels, 8), {"test": Batches(inputs, labels, 8)}, steps(), files)
    assert summary["diverged_time"] == 0.25
    assert (summary["diverged_epoch"], summary["diverged_step"]) == (1, 2)
    assert files.kept.keys() == {"model"}
