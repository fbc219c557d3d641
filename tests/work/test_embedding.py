"""An embedding is pretrained once for all the runs that share it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import taunode
from taunode.data.sets import Digits
from taunode.models.embedding import Embedding, EmbeddingPair
from taunode.work import embedding as module
from taunode.work.embedding import provide

DIGITS = Digits(
    name="digits", channels=1, image_size=8, classes=10, mean=[0.0], std=[1.0], crop_padding=0, flip=False, holdout=0
)


def configuration(**embedding: Any) -> dict[str, Any]:
    return {"arch": {"channels": 4}, "embedding": {"passes": 1, "lr": 0.01, "seed": 0, "weights": None} | embedding}


def pair(seed: int = 0) -> EmbeddingPair:
    return Embedding(passes=0, seed=seed, weights=None).untrained(1, 4, 8, 10)


def given(config: dict[str, Any], cache: Path) -> dict[str, torch.Tensor]:
    untrained = pair(config["embedding"]["seed"])
    return provide(config, untrained, DIGITS, DIGITS.load(Path(), Path()), cache)


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_second_run_takes_what_the_first_has_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = given(configuration(), tmp_path)
    assert not equal(first, dict(pair().state_dict()))
    monkeypatch.setattr(module, "pretrain", lambda *arguments: pytest.fail("trained twice"))
    assert equal(given(configuration(), tmp_path), first)


def test_other_passes_rates_and_seeds_are_other_pairs(tmp_path: Path) -> None:
    first = given(configuration(), tmp_path)
    assert not equal(given(configuration(seed=1), tmp_path), first)
    assert not equal(given(configuration(passes=2), tmp_path), first)
    assert not equal(given(configuration(lr=0.02), tmp_path), first)


def test_other_inputs_are_another_pair(tmp_path: Path) -> None:
    config, splits = configuration(), DIGITS.load(Path(), Path())
    scaled = replace(DIGITS, mean=[0.3], std=[0.37])
    alone = provide(config, pair(0), scaled, splits, tmp_path / "alone")
    first = provide(config, pair(0), DIGITS, splits, tmp_path / "both")
    assert equal(provide(config, pair(0), scaled, splits, tmp_path / "both"), alone)
    assert not equal(first, alone)


def test_without_a_seed_it_is_that_of_the_run(tmp_path: Path) -> None:
    explicit = given(configuration(seed=3), tmp_path)
    own = provide(
        configuration(seed=None) | {"seed": 3}, pair(3), DIGITS, DIGITS.load(Path(), Path()), tmp_path / "other"
    )
    assert equal(own, explicit)


def test_without_passes_it_is_as_drawn(tmp_path: Path) -> None:
    assert equal(given(configuration(passes=0), tmp_path), dict(pair().state_dict()))
    assert not list(tmp_path.iterdir())


def test_a_given_pair_is_taken(tmp_path: Path) -> None:
    other = dict(pair(seed=5).state_dict())
    save_file(other, tmp_path / "pair.safetensors")
    config = configuration(weights=str(tmp_path / "pair.safetensors"))
    assert equal(given(config, tmp_path / "cache"), other)


def test_a_run_says_which_pair_it_had(tmp_path: Path) -> None:
    words = "arch=rkhs_node arch.layers=2 arch.channels=4 arch.hidden_channels=4 dataset=synthetic "
    words += "dataset.train_images=64 dataset.test_images=16 schedule.epochs=1 schedule.batch_size=16 "
    config = taunode.compose([*words.split(), "schedule.warmup_epochs=0", "runtime.device=cpu", "runtime.threads=1"])
    summary = taunode.run(config, tmp_path / "run")
    _, network = taunode.load(tmp_path / "run")
    assert summary["embedding_digest"] == network.embedding.digest
