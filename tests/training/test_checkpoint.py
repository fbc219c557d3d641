"""A checkpoint is data: it holds the whole state of a training, and reading it runs no code."""

import io
import os
import pickle
from pathlib import Path

import pytest
import torch

from taunode.training.checkpoint import Training, furthest
from taunode.training.metrics import Means
from training.small import Batches, Perceptron, samples, sgd


def training(seed: int) -> Training:
    torch.manual_seed(seed)
    model = Perceptron()
    return Training(model, sgd().updates(model), Batches(*samples(29, seed), 8), Means(torch.device("cpu")))


def test_all_of_it_comes_back() -> None:
    one, other = training(0), training(1)
    one.model(torch.randn(4, 6)).sum().backward()
    one.optimizer.step(0.1)
    one.end_epoch({"epoch": 1, "test_error": 5.0}, better=True)
    one.step, one.seconds, one.epoch_seconds = 3, 12.5, 2.5
    file = io.BytesIO()
    one.save(file)
    expected = torch.rand(3)
    other.restore(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert torch.equal(torch.rand(3), expected)
    for name in Training.plain:
        if name != "best_weights":
            assert getattr(other, name) == getattr(one, name)
    for part in ("model", "best_weights"):
        first, second = (t.best_weights if part == "best_weights" else t.model.state_dict() for t in (one, other))
        assert all(torch.equal(value, second[name]) for name, value in first.items())
    momentum = [t.optimizer.state_dict()["parts"][0]["state"][0]["momentum_buffer"] for t in (one, other)]
    assert torch.equal(*momentum)


def test_the_best_weights_are_a_copy() -> None:
    state = training(0)
    state.end_epoch({"epoch": 1}, better=True)
    kept = state.best_weights["first.bias"].clone()
    with torch.no_grad():
        state.model.first.bias += 1
    assert torch.equal(state.best_weights["first.bias"], kept)


def test_the_furthest_counts(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.pt" for number in range(3)]
    for path, (epoch, step) in zip(paths, [(1, 9), (2, 1), (2, 0)], strict=True):
        torch.save({"epoch": epoch, "step": step}, path)
    assert furthest(path.open("rb") for path in paths) == {"epoch": 2, "step": 1}
    assert furthest([]) is None
    assert furthest(paths[3:]) is None


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "evil"),)

    path = tmp_path / "evil.pt"
    torch.save({"epoch": 1, "step": 0, "more": Evil()}, path)
    with pytest.raises(pickle.UnpicklingError):
        furthest([path.open("rb")])
    assert not (tmp_path / "evil").exists()
