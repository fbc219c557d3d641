"""Tab completion: after our own flags, behind a comma, for all values of a key, with the user's own options."""

import subprocess
import sys
from pathlib import Path

import pytest
from cli import environment

from taunode.command.choices import choices
from taunode.command.completion import words
from taunode.command.plugins import register


@pytest.fixture(autouse=True)
def _registered() -> None:
    register()


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("--again arch=resnet5", ["arch=resnet50", "arch=resnet50_nobn", "arch=resnet56", "arch=resnet56_nobn"]),
        ("-m --new tau=inverse_", ["tau=inverse_quarter", "tau=inverse_sqrt", "tau=inverse_sqrt_largest_stage"]),
        ("--ad", ["--adopt"]),
        ("--cfg ", ["job", "hydra", "all"]),
        ("-m arch=resnet110_nobn,resnet11", ["arch=resnet110_nobn,resnet110"]),
        ("-m experiment=small/cifar_d", ["experiment=small/cifar_depth_bn", "experiment=small/cifar_depth_nobn"]),
        ("arch.norm=", ["arch.norm=batch", "arch.norm=none"]),
        ("tau.learn=b", ["tau.learn=block"]),
        ("-m tau.learn=block,c", ["tau.learn=block,channel"]),
        ("precision=", ["precision=bf16", "precision=fp32", "precision=fp64", "precision=tf32"]),
        ("runtime.keep_checkpoint=", ["runtime.keep_checkpoint=false", "runtime.keep_checkpoint=true"]),
        ("-m hydra/launcher=slurm hydra.launcher.wait=t", ["hydra.launcher.wait=true"]),
        ("arch=rkhs_node arch.interpolation=o", ["arch.interpolation=original"]),
        ("arch=resnet56,resnet110 tau.ex", ["tau.exponent="]),
        ("hydra/launcher=slurm hydra.launcher.part", ["hydra.launcher.partition="]),
        ("schedule.nonsense=", []),
        ("arch=nonsense ta", ["tau.", "tau="]),
    ],
)
def test_words(line, some):
    assert words(line) == some


def test_the_users_own_options(tmp_path: Path):
    (tmp_path / "schedule").mkdir()
    (tmp_path / "schedule" / "mine.yaml").write_text("defaults: [cifar, _self_]\nepochs: 20\n")
    for flag in (f"--config-dir {tmp_path}", f"--config-dir={tmp_path}", f"-cd {tmp_path}"):
        assert words(f"{flag} -m schedule=cifar,mi") == ["schedule=cifar,mine"]
    assert words(f"--config-dir {tmp_path}/sch") == [f"{tmp_path}/schedule/"]
    assert words(f"runtime.data_root={tmp_path}/sch") == [f"runtime.data_root={tmp_path}/schedule"]


def test_it_cannot_wait_for_torch(tmp_path):
    script = "import sys; from taunode.train import main\ntry: main()\nfinally: assert 'torch' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", script, "-sc", "query=bash"],
        env=environment(COMP_LINE="taunode arch.checkpoint_segments="),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["arch.checkpoint_segments=auto", "arch.checkpoint_segments=null"]
    assert done.stderr == ""


def test_plan_completes_overrides_as_taunode_does(tmp_path):
    script = "from taunode.command.sweep import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(
            _TAUNODE_SWEEP_COMPLETE="complete_bash", COMP_WORDS="taunode-sweep plan tau=one,inverse_q", COMP_CWORD="2"
        ),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["tau=one,inverse_quarter"]


def test_choices_are_read_from_the_source():
    assert choices("taunode.models.ode.RkhsNode", "interpolation") == ["exact", "original"]
    assert choices("taunode.models.tau.PowerLaw", "blocks") == ["total", "largest_stage"]
    assert choices("taunode.runs.runtime.Runtime", "compile") == ["true", "false", "auto", "reduce-overhead"]
    assert choices("taunode.nowhere.Class", "name") == choices("not_a_module.Class", "x") == []
