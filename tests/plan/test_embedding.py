"""A given embedding enters a run by its content; where the file lies does not matter."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from taunode.api import build_model, compose
from taunode.errors import BadInput
from taunode.models.embedding import Embedding
from taunode.plan.freeze import Freezer
from taunode.runs.signature import signature


def write_pair(path: Path, channels: int = 4, seed: int = 3) -> Path:
    pair = Embedding(passes=0, seed=seed, weights=None).untrained(1, channels, 8, 10)
    save_file(pair.state_dict(), path)
    return path


def frozen(path: Path) -> dict:
    overrides = ["arch=rkhs_node", "arch.channels=4", f"embedding.weights='{path}'"]
    return Freezer(Path.cwd()).freeze(compose(overrides))[0]


def test_the_content_is_signed_and_not_the_path(tmp_path: Path) -> None:
    first = write_pair(tmp_path / "a.safetensors")
    copy = Path(shutil.copy(first, tmp_path / "b.safetensors"))
    other = write_pair(tmp_path / "c.safetensors", seed=4)
    assert signature(frozen(first)) == signature(frozen(copy)) != signature(frozen(other))
    assert Path(frozen(first)["embedding"]["weights"]).is_absolute()


def test_a_pair_of_another_shape_is_refused_when_planned(tmp_path: Path) -> None:
    config = frozen(write_pair(tmp_path / "a.safetensors", channels=5))
    with pytest.raises(BadInput, match=r"\(5,\).*\(4,\)"):
        Freezer(Path.cwd()).check(config)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        frozen(tmp_path / "nowhere.safetensors")


def test_without_a_seed_of_its_own_every_run_has_another_pair() -> None:
    small = ["arch=rkhs_node", "arch.channels=4", "arch.layers=1"]

    def pair(*overrides: str) -> dict:
        return build_model(compose([*small, *overrides])).embedding.state_dict()

    own, other, explicit = pair("embedding.seed=null", "seed=3"), pair("embedding.seed=null"), pair("embedding.seed=3")
    assert all(own[name].equal(explicit[name]) for name in own)
    assert not own["input.0.weight"].equal(other["input.0.weight"])


def test_a_model_is_what_the_run_starts_from(tmp_path: Path) -> None:
    """With a pair that was given, or that is trained here as a run would train it."""
    given = write_pair(tmp_path / "a.safetensors")
    model = build_model(compose(["arch=rkhs_node", "arch.channels=4", f"embedding.weights={given}"]))
    assert all(torch.equal(model.embedding.state_dict()[name], value) for name, value in load_file(given).items())

    trained = ["arch=rkhs_node", "arch.channels=4", "arch.layers=1", "embedding.passes=1", "dataset=digits"]
    config = compose([*trained, f"runtime.cache_dir={tmp_path / 'cache'}"])
    first, again = build_model(config), build_model(config)
    (kept,) = (tmp_path / "cache" / "embeddings").glob("*.safetensors")
    for model in (first, again):
        assert all(torch.equal(model.embedding.state_dict()[name], value) for name, value in load_file(kept).items())


def test_a_network_takes_only_its_own_groups() -> None:
    with pytest.raises(BadInput, match="takes no solver"):
        build_model(compose(["arch=resnet20", "solver=euler"]))
    with pytest.raises(BadInput, match="takes no tau"):
        build_model(compose(["arch=rkhs_node", "tau=inverse_sqrt"]))
