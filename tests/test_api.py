"""compose, build_model, run, load: what notebooks and scripts use."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cli import environment, tree
from harness import TINY
from omegaconf import DictConfig
from safetensors.torch import load_file

import taunode
from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory

RUN = [*TINY, "schedule.epochs=3", "runtime.device=cpu", "runtime.threads=1"]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


def configuration(*more: str) -> DictConfig:
    kept = [text for text in RUN if text.partition("=")[0] not in {other.partition("=")[0] for other in more}]
    return taunode.compose([*kept, *more])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("trained") / "run"
    taunode.run(configuration(), directory)
    return directory


def test_importing_the_package_costs_nothing(tmp_path):
    script = "import sys, taunode; dir(taunode); print(*sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    heavy = {"torch", "hydra", "omegaconf", "numpy", "yaml", "rich", "pandas"}
    assert not heavy & set(shown.stdout.split())


def test_what_the_package_offers():
    assert taunode.__all__ == ["build_model", "compose", "load", "run"]
    assert all(callable(getattr(taunode, name)) for name in taunode.__all__)
    with pytest.raises(AttributeError, match="it has build_model, compose, load, run"):
        taunode.train_everything  # noqa: B018 -- the access is the test


def test_compose_is_what_the_command_would_run():
    config = taunode.compose(["arch=resnet56", "tau=inverse_sqrt", "seed=1"])
    assert (config.arch.depth, config.tau.exponent, config.seed) == (56, 0.5, 1)
    assert config.solver is None
    assert "hydra" not in config
    assert taunode.compose() == taunode.compose([])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("arch=resnet57", "valid: resnet56"),
        ("schedule.epoch=1", "nearest: schedule.epochs"),
        ("seed=0,1", "several values"),
        ("seed", "not an override"),
    ],
)
def test_compose_refuses(override, words):
    with pytest.raises(BadInput, match=words):
        taunode.compose([override])


def test_build_model_gives_the_untrained_network():
    config = configuration()
    model = taunode.build_model(config)
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 10)
    before = torch.get_rng_state()
    again = taunode.build_model(config)
    assert torch.equal(torch.get_rng_state(), before)  # the seed is the configuration's alone
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    other = taunode.build_model(configuration("seed=1"))
    assert not all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("arch.depth=21", "6n.2, got 21"),
        ("tau.scale=-1", "tau.scale"),
        ("seed=x", "seed must be a whole number"),
    ],
)
def test_build_model_and_run_refuse(override, words, tmp_path):
    with pytest.raises(BadInput, match=words):
        taunode.build_model(configuration(override))
    with pytest.raises(BadInput, match=words):
        taunode.run(configuration(override), tmp_path / "run")
    assert tree(tmp_path) == {}


def test_run_twice_in_a_directory_executes_once(trained):
    before = tree(trained)
    summary = taunode.run(configuration(), str(trained))
    assert tree(trained) == before
    assert summary == json.loads((trained / "run.json").read_bytes())["summary"]
    assert {"final_test_error", "best_test_error", "epochs", "steps", "seconds"} <= set(summary)
    assert summary["epochs"] == 3


def test_run_leaves_this_process_as_it_was(tmp_path):
    before = torch.get_rng_state(), torch.get_num_threads()
    taunode.run(configuration("schedule.epochs=1"), tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_run_refuses_a_directory_that_holds_another_configuration(trained):
    before = tree(trained)
    with pytest.raises(BadInput, match=r"holds another configuration: seed \(0 there, 7 here\)"):
        taunode.run(configuration("seed=7"), trained)
    assert tree(trained) == before


def test_run_says_what_failed(tmp_path):
    config = configuration("schedule.epochs=1")
    taunode.run(config, tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    run.done.unlink()
    run.config.write_text(run.config.read_text().replace("depth: 8", "depth: 9"))
    with pytest.raises(RuntimeError, match=r"depth must be 6n\+2"):
        taunode.run(config, run.path)
    run.config.write_text(run.config.read_text().replace("depth: 9", "depth: 8"))
    assert taunode.run(config, run.path)["epochs"] == 1  # asked again, it is tried again


def test_run_reports_divergence_as_a_result(tmp_path):
    summary = taunode.run(configuration("schedule.lr=1e30", "arch.norm=none"), tmp_path / "run")
    assert summary["diverged_epoch"] == 1
    with pytest.raises(BadInput, match="no best weights"):
        taunode.load(tmp_path / "run")
    _, model = taunode.load(tmp_path / "run", "last")
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


@pytest.mark.parametrize(("which", "file"), [("best", "best.safetensors"), ("last", "model.safetensors")])
def test_load_gives_the_weights_byte_for_byte(which, file, trained):
    config, model = taunode.load(trained, which)
    assert config.arch.depth == 8
    assert not model.training
    saved = load_file(trained / file)
    state = model.state_dict()
    assert state.keys() == saved.keys()
    assert all(torch.equal(state[name], saved[name]) for name in saved)


def test_load_gives_the_network_whose_error_was_reported(trained):
    from taunode import build

    config, model = taunode.load(trained, "last")
    from omegaconf import OmegaConf

    splits = build.data_set(OmegaConf.to_container(config)).load(Path("data"), Path("cache"))
    images = (torch.from_numpy(splits.test.pixels).float() / 255 - 0.5) / 0.25
    with torch.no_grad():
        wrong = model(images).argmax(1) != torch.from_numpy(splits.test.labels)
    summary = json.loads((trained / "run.json").read_bytes())["summary"]
    assert 100 * wrong.double().mean().item() == pytest.approx(summary["final_test_error"], abs=1e-9)


def test_load_of_a_run_that_has_not_ended_takes_its_checkpoint(tmp_path):
    config = configuration("runtime.keep_checkpoint=true", "runtime.checkpoint_seconds=0.001", "schedule.epochs=2")
    taunode.run(config, tmp_path / "run")
    run = RunDirectory(tmp_path / "run")
    run.done.unlink()
    _, model = taunode.load(run.path, "last")
    assert [parameter for parameter in model.parameters() if parameter.abs().sum() > 0]
    run.checkpoint(1).unlink()
    with pytest.raises(BadInput, match="no last weights yet"):
        taunode.load(run.path, "last")


def test_load_refuses(tmp_path, trained):
    with pytest.raises(BadInput, match=r"not a run directory: it has no run\.json"):
        taunode.load(tmp_path)
    with pytest.raises(BadInput, match="'best' or 'last', got 'first'"):
        taunode.load(trained, "first")
