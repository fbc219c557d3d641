"""examples/own_network: a folder of one's own that a reader starts from."""

from pathlib import Path

import pytest
from cli import taunode

import multirun_analysis
import taunode as taunode_package

EXAMPLE = Path(__file__).parents[1] / "examples" / "own_network"
SHORT = ["schedule.epochs=2", "runtime.device=cpu", "runtime.threads=1", "schedule.batch_size=64"]


def test_it_is_short():
    lines = [line for kind in ("*.py", "*/*.yaml") for file in EXAMPLE.glob(kind) for line in file.open()]
    assert len(lines) < 60


def test_it_is_swept_with_any_tau_and_tabulated(tmp_path):
    grid = ["-m", "arch=residual_mlp", "arch.blocks=2,4", "tau=one,inverse_sqrt", "dataset=digits"]
    taunode("--config-dir", str(EXAMPLE), *grid, *SHORT, "hydra.sweep.dir=s", cwd=tmp_path)
    runs = multirun_analysis.load(tmp_path / "s").runs
    assert set(runs["state"]) == {"done"}
    assert set(zip(runs["tau"], runs["blocks"], strict=True)) == {("1", 2), ("1", 4), ("L^-1/2", 2), ("L^-1/2", 4)}


def test_it_is_measured_at_initialisation(tmp_path):
    taunode(
        "--config-dir",
        str(EXAMPLE),
        "arch=residual_mlp",
        "dataset=digits",
        "schedule=initialisation",
        "runtime.device=cpu",
        "hydra.run.dir=r",
        cwd=tmp_path,
    )
    assert (tmp_path / "r" / "done").exists()


@pytest.mark.parametrize("rule", ["mup", "depth_mup", "power"])
def test_it_takes_any_parametrization(rule, tmp_path):
    config = taunode_package.compose(
        ["arch=residual_mlp", "dataset=digits", f"parametrization={rule}", "optimizer=adamw"], config_dir=EXAMPLE
    )
    network = taunode_package.build_model(config)
    assert network.size() == (8, 1.0)
