"""The command `taunode`: what it shows, and how one run begins, is interrupted, goes on and ends."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from cli import TINY, environment, record, start, taunode, tree
from command.test_sweep import RUN_FILES

from taunode.runs.directory import RunDirectory
from taunode.train import help_text, main

CONF = Path(__file__).parents[1] / "conf"
GROUPS = {
    line.strip().partition(" ")[0] for line in help_text().splitlines() if re.match(r"  [a-z/]+($| \(default)", line)
}
OPTIONS = [path.relative_to(CONF) for path in sorted(CONF.rglob("*.yaml")) if path.parent != CONF]


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_help_has_every_option_with_what_its_file_says(option):
    first = next(
        line for line in (CONF / option).read_text(encoding="utf-8").splitlines() if not line.startswith("# @")
    )
    assert first.startswith("# ")
    lines = help_text().splitlines()
    group = next(group for group in (*option.parents,) if group.as_posix() in GROUPS)
    name = option.relative_to(group).with_suffix("").as_posix()
    assert [line for line in lines if re.fullmatch(rf"  {group.as_posix()}( \(default: \w+\))?", line)]
    assert [line for line in lines if line.split() and line.split()[0] == name and first[2:] in line]


def test_help_shows_eight_examples():
    examples = [line for line in help_text().splitlines() if line.startswith(("  taunode ", "  taunode-sweep "))]
    assert len(examples) >= 8


@pytest.mark.parametrize(
    "script",
    [
        "from taunode.train import main; main(['--help'])",
        "from taunode.train import main; main(['-m', 'seed=0,1', '-h'])",
        "from taunode.train import main; main(['--version'])",
        "import sys; sys.argv[1:] = ['--help']; from taunode.command.sweep import main; main()",
        "import sys; sys.argv[1:] = ['status', '--help']; from taunode.command.sweep import main; main()",
        "import sys; sys.argv[1:] = ['--help']; from multirun_analysis.command import main; main()",
    ],
)
def test_help_imports_neither_torch_nor_hydra(script, tmp_path):
    watch = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    command = [sys.executable, "-c", watch + script]
    shown = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True)
    assert shown.stdout
    assert not {"torch", "torchvision", "hydra", "omegaconf", "pandas", "matplotlib"} & set(shown.stderr.split())


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"taunode {version('taunode')}\n"


def test_the_configuration_can_be_shown(tmp_path):
    shown = taunode("--cfg", "job", "arch=resnet56", "tau=inverse_sqrt", cwd=tmp_path)
    config = yaml.safe_load(shown.stdout)
    assert config["arch"].items() >= {"_target_": "taunode.models.resnet.CifarResNet", "depth": 56}.items()
    assert "${" in shown.stdout
    resolved = taunode("--cfg", "job", "--resolve", "arch=resnet56", "tau=inverse_sqrt", cwd=tmp_path)
    assert "${" not in resolved.stdout
    assert yaml.safe_load(resolved.stdout)["tau"] == config["tau"]
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("what", ["config", "defaults", "searchpath"])
def test_hydras_own_information(what, tmp_path):
    assert taunode("--info", what, cwd=tmp_path).stdout
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("taunode tau=inv", {"tau=inverse", "tau=inverse_quarter", "tau=inverse_sqrt"}),
        ("taunode arch=resnet110", {"arch=resnet110", "arch=resnet110_nobn"}),
        ("taunode schedule.ep", {"schedule.epochs="}),
        ("taunode hydra/launcher=lo", {"hydra/launcher=local"}),
        ("taunode exp", {"experiment="}),
        ("taunode experiment=small/m", {"experiment=small/mnist_fig1a", "experiment=small/mnist_fig2"}),
    ],
)
def test_completion(line, completed, tmp_path):
    command = [sys.executable, "-m", "taunode.train", "-sc", "query=bash"]
    changes = {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    shown = subprocess.run(
        command, cwd=tmp_path, env=environment(**changes), capture_output=True, text=True, check=True
    )
    assert completed <= set(shown.stdout.split())
    assert all(text.startswith(line.split()[1]) for text in shown.stdout.split())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which one run has been trained: `mine`."""
    here = tmp_path_factory.mktemp("done")
    ended = taunode(*TINY, "hydra.run.dir=mine", cwd=here)
    assert ended.stdout.startswith("mine: done, test error ")
    assert ended.stdout.count("\n") == 1
    assert ended.stderr.startswith("epoch 1/1  lr 0.1  train loss ")  # plain lines: nobody watches a terminal
    assert "\x1b" not in ended.stdout + ended.stderr
    return here


def test_the_directory_of_a_run(done):
    assert {path.name for path in (done / "mine").iterdir()} == RUN_FILES | {"commands"}
    assert {path.name for path in (done / "mine" / ".hydra").iterdir()} == {
        "config.yaml",
        "overrides.yaml",
        "hydra.yaml",
    }
    for link in RunDirectory.linked:
        stem, _, suffix = link.partition(".")
        assert os.path.samefile(done / "mine" / link, done / "mine" / f"{stem}.1.{suffix}")
    lines = (done / "mine" / "metrics.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,lr,train_loss,train_error,test_loss,test_error")
    assert len(lines) == 2
    found = record(done / "mine")
    assert found["state"] == "done"
    assert (found["summary"]["epochs"], found["summary"]["steps"]) == (1, 4)
    (attempt,) = found["attempts"]
    assert {"host", "versions", "runtime", "started", "ended", "state", "end"} <= set(attempt)
    assert "PATH" not in (done / "mine" / "run.json").read_text()


def test_hydras_files_are_as_hydra_writes_them(done):
    hydra = done / "mine" / ".hydra"
    assert yaml.safe_load((hydra / "overrides.yaml").read_text()) == record(done / "mine")["overrides"]
    config = yaml.safe_load((hydra / "config.yaml").read_text())
    frozen = yaml.safe_load((done / "mine" / "config.yaml").read_text())
    assert config == frozen
    assert yaml.safe_load((hydra / "hydra.yaml").read_text())["hydra"]["job"]["name"]


def test_the_same_command_again_executes_nothing(done):
    before = tree(done)
    again = taunode(*TINY, "hydra.run.dir=mine", "runtime.checkpoint_seconds=9", cwd=done)
    assert tree(done) == before
    assert again.stdout.startswith("mine: done, test error ")


def test_again_does_it_again(done, tmp_path):
    taunode(*TINY, f"hydra.run.dir={tmp_path}", cwd=done)
    first = (tmp_path / "metrics.csv").read_bytes()
    taunode(*TINY, f"hydra.run.dir={tmp_path}", "--again", cwd=done)
    assert [attempt["state"] for attempt in record(tmp_path)["attempts"]] == ["done", "done"]
    assert os.path.samefile(tmp_path / "metrics.csv", tmp_path / "metrics.2.csv")
    assert (tmp_path / "metrics.csv").read_bytes() == first


def test_without_a_name_the_same_command_finds_the_same_place(tmp_path):
    taunode(*TINY, "seed=3", cwd=tmp_path)
    (run,) = (tmp_path / "outputs").iterdir()
    before = tree(tmp_path)
    taunode("seed=3", *TINY[::-1], cwd=tmp_path)
    assert tree(tmp_path) == before
    assert run.name.endswith(record(run)["signature"][:8])


LONG = (*TINY, "schedule.epochs=60", "schedule.milestones=[]", "hydra.run.dir=long")


@pytest.fixture
def interrupted(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(*LONG, cwd=tmp_path)
    metrics = tmp_path / "long" / "metrics.1.csv"
    while not metrics.exists() or metrics.read_text().count("\n") < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    yield process
    process.kill()
    process.wait()


def test_ctrl_c_returns_a_run_to_planned_and_the_same_command_goes_on(interrupted, tmp_path):
    out, err = interrupted.communicate()
    assert interrupted.returncode == 130, (out, err)
    assert "Traceback" not in err
    found = record(tmp_path / "long")
    assert (found["state"], found["attempts"][0]["end"]) == ("planned", "interrupted")
    taunode(*LONG, cwd=tmp_path)
    found = record(tmp_path / "long")
    assert [attempt["state"] for attempt in found["attempts"]] == ["planned", "done"]
    assert found["summary"]["epochs"] == 60
    assert not list((tmp_path / "long").glob("checkpoint.*"))


def test_a_failed_run_is_exit_code_1_and_says_why(tmp_path, done):
    taunode(*TINY, "hydra.run.dir=broken", cwd=tmp_path)
    broken = tmp_path / "broken"
    (broken / "config.yaml").write_text((broken / "config.yaml").read_text().replace("depth: 8", "depth: 9"))
    failed = taunode(*TINY, "hydra.run.dir=broken", "--again", cwd=tmp_path, code=1)
    assert "broken: failed" in failed.stdout
    assert "depth must be 6n+2, got 9" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert "Traceback" in (broken / "error.2.txt").read_text()


def test_divergence_is_a_result(tmp_path):
    ended = taunode(*TINY, "schedule.lr=1e30", "arch.norm=none", "hydra.run.dir=wild", cwd=tmp_path)
    assert "wild: diverged in epoch 1" in ended.stdout
    found = record(tmp_path / "wild")
    assert found["state"] == "diverged"
    assert found["summary"]["diverged_epoch"] == 1
