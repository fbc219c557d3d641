"""A sweep that the first release left (tests/fixtures/first_release.py) is listed, gone on with and compared today."""

import csv
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli import environment, refusal

import taunode
from multirun_analysis import compare, load
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.record import FORMAT
from taunode.runs.signature import at_absence, flatten, signature
from taunode.show.selection import select

FIXTURE = Path(__file__).parent / "fixtures" / "first_release"
GRID = (
    *("arch=rkhs_node", "arch.layers=2", "arch.channels=2", "arch.hidden_channels=2", "precision=fp64"),
    *("dataset=synthetic", "dataset.train_images=96", "dataset.test_images=32", "schedule=mnist_flow"),
    *("schedule.batch_size=32", "schedule.epochs=6", "schedule.milestones=[4]", "schedule.warmup_epochs=1.5"),
    *("runtime.device=cpu", "runtime.threads=1"),
)  # as the script says them, but for the key that has moved since


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepDirectory:
    """A copy, whose killed run has given no sign of life for long."""
    shutil.copytree(FIXTURE / "sweep", tmp_path / "sweep", symlinks=True)
    for claim in (tmp_path / "sweep").glob("runs/*/claim.*"):
        os.utime(claim, (0, 0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAUNODE_CACHE", str(tmp_path / "cache"))
    return SweepDirectory(tmp_path / "sweep")


def run_of(sweep: SweepDirectory, momentum: float, seed: int) -> RunDirectory:
    (run,) = sweep.runs.glob(f"momentum={momentum:g},seed={seed}-*")
    return RunDirectory(run)


def plan(*overrides: str, to: str = "sweep") -> set[str]:
    """The runs that a command of today plans anew; those that it finds stay as they are."""
    before = set(SweepDirectory(to).named())
    taunode_sweep("plan", *GRID, f"hydra.sweep.dir={to}", *overrides)
    return set(SweepDirectory(to).named()) - before


def call(*words: str, **changes: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], env=environment(**changes), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def taunode_sweep(*words: str) -> str:
    return call("-c", "from taunode.command.sweep import main; main()", *words)


def rows(file: Path) -> list[dict[str, float]]:
    with file.open() as lines:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]


def assert_same(found: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        results = [key for key in other if not key.startswith("nfe")]
        assert [one[key] for key in results] == pytest.approx([other[key] for key in results], rel=1e-9)


def test_it_is_listed(sweep: SweepDirectory) -> None:
    chosen = select(sweep.path)
    states = {one.run.path.name.rpartition("-")[0]: str(one.state) for one in chosen.runs}
    assert states == {
        "momentum=0,seed=0": "done",
        "momentum=0,seed=1": "done",
        "momentum=0.9,seed=0": "stalled",
        "momentum=0.9,seed=1": states["momentum=0.9,seed=1"],
        "momentum=0.9,seed=2": "planned",
    }
    assert states["momentum=0.9,seed=1"] in ("queued", "planned")  # as squeue says, if there is one
    assert not chosen.broken
    assert len(select(sweep.path, where="optimizer.momentum == 0.9 and not optimizer.nesterov").runs) == 3


def test_its_runs_are_read_as_if_todays_keys_stood_there_and_are_the_same_runs(sweep: SweepDirectory) -> None:
    for run in sweep:
        config = run.read_config()
        assert config["optimizer"]["_target_"] == "taunode.training.optimizer.Sgd"
        assert config["optimizer"].keys() == {"_target_", "momentum", "weight_decay", "nesterov", "decay", "clip_norm"}
        assert "momentum" not in config["schedule"]
        assert at_absence(dict(flatten(config))) >= {"optimizer.nesterov", "optimizer.decay", "optimizer._target_"}
        assert signature(config) == run.read_record().signature
        taunode.build.network(config)


def test_todays_command_finds_them(sweep: SweepDirectory) -> None:
    assert plan("optimizer.momentum=0,0.9", "seed=0,1") == set()
    (new,) = plan("optimizer.momentum=0,0.9", "seed=0,1,2")
    assert new.startswith("momentum=0,seed=2-")
    (new,) = plan("optimizer=plain_sgd", "optimizer.momentum=0.9", "optimizer.nesterov=false,true", "seed=0")
    assert new.startswith("nesterov=True-")


def test_the_key_that_moved_is_refused_with_its_new_name(capfd: pytest.CaptureFixture[str]) -> None:
    assert refusal(["schedule.momentum=0.5"], capfd).endswith("schedule.momentum is optimizer.momentum now")


def test_all_of_it_is_gone_on_with(sweep: SweepDirectory) -> None:
    killed = run_of(sweep, 0.9, 0)
    before = {run.path.name: (run.path / "metrics.1.csv").read_bytes() for run in (run_of(sweep, 0, s) for s in (0, 1))}
    taunode_sweep("resume", "sweep", "--here", "--workers", "1")
    assert {str(one.state) for one in select(sweep.path).runs} == {"done"}
    assert_same(rows(killed.path / "metrics.csv"), rows(FIXTURE / "expected.csv"))
    assert "goes on after epoch" in killed.log(2).read_text()
    assert killed.attempts() == 2
    assert killed.read_record().attempts[0]["versions"]["taunode"] == "0.1.0"
    for name, content in before.items():
        assert (sweep.run(name).path / "metrics.csv").read_bytes() == content
    for run in (run_of(sweep, 0, 0), killed):
        assert all(value.isfinite().all() for value in taunode.load(run.path)[1].state_dict().values())


def test_the_queued_job_executes_its_run(sweep: SweepDirectory) -> None:
    """As Slurm would: the batch script names a module of the first release."""
    (script,) = sweep.slurm.glob("*.sh")
    words = shlex.split(script.read_text().splitlines()[-1])
    assert words[0] == "srun"
    command = words[words.index("-m") :]
    command[2] = str(sweep.slurm / Path(command[2]).name)
    job = dict.fromkeys(("ARRAY_TASK_ID", "PROCID", "STEP_ID", "LOCALID", "RESTART_COUNT"), "0")
    job |= {"ARRAY_JOB_ID": "4242", "JOB_ID": "4242", "JOB_NAME": "sweep", "NTASKS": "1"}
    out = call(*command, **{f"SLURM_{name}": value for name, value in job.items()})
    run = run_of(sweep, 0.9, 1)
    assert f"{run.path.name}: done" in out
    assert run.read_done()["state"] == "done"


def test_it_is_compared_with_a_sweep_of_today(sweep: SweepDirectory, tmp_path: Path) -> None:
    """The same two runs again: the keys agree, and the results do."""
    plan("optimizer.momentum=0", "seed=0,1", to="today")
    taunode_sweep("resume", "today", "--workers", "1")
    for run in SweepDirectory(tmp_path / "today"):
        seed = run.read_config()["seed"]
        assert run.read_record().to_json()["format"] == FORMAT
        assert_same(rows(run.path / "metrics.csv"), rows(run_of(sweep, 0, seed).path / "metrics.csv"))
    found = compare(sweep.path, tmp_path / "today")
    (cell,) = found.cells.to_dict("records")
    assert (cell["n_first"], cell["n_second"], cell["pairs"]) == (2, 2, 2)
    assert cell["difference"] == pytest.approx(0, abs=1e-9)
    assert set(found.keys["key"]) <= {"optimizer.momentum", "seed"}  # of which the first has more


def test_a_table_has_todays_columns(sweep: SweepDirectory) -> None:
    runs = load(sweep.path).runs
    assert sorted(runs["optimizer.momentum"]) == [0.0, 0.0, 0.9, 0.9, 0.9]
    assert not [key for key in runs if key.startswith("schedule.momentum")]
    assert set(runs["signature"]) == {run.read_record().signature for run in sweep}


def test_it_names_no_machine() -> None:
    for file in FIXTURE.rglob("*"):
        if file.is_file() and file.suffix not in (".pt", ".safetensors"):
            for word in ("/tmp", "/root", "/work"):
                assert word not in file.read_text()
    assert not [file for file in FIXTURE.rglob("*") if file.is_symlink() and os.path.isabs(os.readlink(file))]
