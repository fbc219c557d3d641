"""A user's own options: DIR/schedule/mine.yaml is schedule=mine, wherever overrides are taken."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from cli import TINY, plan, records, refusal, taunode, tree

import taunode as package
from taunode.errors import BadInput

MINE = """\
# my schedule
defaults: [cifar, _self_]
lr: 0.05
milestones: []
"""
EXPERIMENT = """\
# @package _global_
# my grid
defaults:
  - override /tau: inverse_sqrt
  - override /schedule: mine
hydra:
  sweeper:
    params:
      seed: 4,5
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("schedule/mine.yaml", MINE), ("experiment/grid.yaml", EXPERIMENT)):
        file = tmp_path / "options" / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return tmp_path / "options"


OPTION = [word for word in TINY if not word.startswith("schedule")] + ["schedule=mine", "schedule.epochs=1"]


def test_one_run(mine, tmp_path):
    taunode("--config-dir", "options", *OPTION, "hydra.run.dir=run", cwd=tmp_path)
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["schedule"]["lr"] == 0.05


def test_a_sweep_with_an_experiment_of_ones_own(mine, tmp_path):
    ended: subprocess.CompletedProcess[str] = taunode(
        "-m", "--config-dir", "options", "experiment=grid", *TINY, cwd=tmp_path
    )
    assert "2 done" in ended.stdout
    (made,) = (tmp_path / "sweeps").glob("grid,*")  # with what else was typed
    found = records(made)
    assert [name[:6] for name in found] == ["seed=4", "seed=5"]
    assert {record["facts"]["tau"] for record in found.values()} == {"L^-1/2"}


def test_compose(mine):
    config = package.compose(["schedule=mine", "schedule.epochs=1"], config_dir=mine)
    assert (config.schedule.lr, config.schedule.epochs, config.schedule.batch_size) == (0.05, 1, 128)
    assert package.compose(["experiment=grid"], config_dir=str(mine)).tau.exponent == 0.5
    with pytest.raises(BadInput, match=r"'mine' of schedule; valid: .*cifar"):
        package.compose(["schedule=mine"])


def test_a_plan(mine):
    made = plan("experiment=grid", config_dir=mine)
    assert [run.config["seed"] for run in made.runs] == [4, 5]


def test_mistakes_in_it_are_one_line(mine, tmp_path, capfd):
    before = tree(tmp_path)
    line = refusal(["--config-dir", "options", "schedule=min"], capfd)
    assert "valid: mine, " in line
    (mine / "schedule" / "mine.yaml").write_text("defaults: [cifar, _self_]\nepoch: 3\n")
    assert "schedule.epoch" in refusal(["--config-dir", "options", "schedule=mine"], capfd)
    (mine / "schedule" / "mine.yaml").write_text("epochs: [3\n")
    assert "mine.yaml" in refusal(["--config-dir", "options", "schedule=mine"], capfd)
    (mine / "schedule" / "mine.yaml").write_bytes(b"epochs: 3 # \xff\n")
    assert "mine.yaml: cannot be read" in refusal(["--config-dir", "options", "schedule=mine"], capfd)
    (mine / "hydra" / "launcher").mkdir(parents=True)
    (mine / "hydra" / "launcher" / "mine.yaml").write_text("defaults: [slurm, _self_]\ntime: 12:00:00\n")
    line = refusal(["--config-dir", "options", "hydra/launcher=mine"], capfd)
    assert line.endswith("mine.yaml, line 2: YAML reads 12:00:00 in base 60; write '12:00:00'")
    shutil.rmtree(mine / "hydra")
    (mine / "schedule" / "mine.yaml").write_text("_target_: subprocess.run\nargs: [ls]\n")
    assert "'subprocess.run' is not allowed" in refusal(["--config-dir", "options", "schedule=mine"], capfd)
    (mine / "schedule" / "mine.yaml").write_text(MINE)
    assert tree(tmp_path).keys() == before.keys()
