"""Sweeps from the command line: each run once, whoever executes it, and however it is said."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli import TINY, environment, plan, records, taunode, tree
from harness import scaled

from taunode.plan.write import write
from taunode.runs.directory import RunDirectory

SEEDS = max(2, scaled(6))
GRID = ("tau=one,inverse_sqrt", "arch.norm=batch,none", f"seed=range(0,{SEEDS})")  # 8 runs, 24 at full scale
RESULTS = ("metrics.csv", "model.safetensors", "best.safetensors", "config.yaml")
RUN_FILES = {
    "config.yaml",
    "run.json",
    "claim.1",
    "done",
    ".hydra",
    "metrics.1.csv",
    "timings.1.csv",
    "model.1.safetensors",
    "best.1.safetensors",
    "log.1.txt",
    *RunDirectory.linked,
}


def results(sweep: Path) -> dict[str, list[bytes]]:
    """What was found out, by signature: the same runs may have other names."""
    return {
        json.loads((run / "run.json").read_bytes())["signature"]: [(run / name).read_bytes() for name in RESULTS]
        for run in (sweep / "runs").iterdir()
    }


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which a sweep of two runs has been trained by our launcher: `ours`."""
    here = tmp_path_factory.mktemp("swept")
    taunode("-m", *TINY, "seed=0,1", "hydra.sweep.dir=ours", cwd=here)
    return here


def test_the_same_command_executes_nothing_and_a_larger_grid_what_is_new(tmp_path, record_property):
    command = ("-m", *TINY, *GRID, "hydra.sweep.dir=sweep")
    first = taunode(*command, cwd=tmp_path)
    made = tree(tmp_path)
    assert len(records(tmp_path / "sweep")) == 4 * SEEDS
    assert f"sweep: {4 * SEEDS} done" in first.stdout

    began = time.monotonic()
    second = taunode(*command, cwd=tmp_path)
    record_property("seconds of the second command", time.monotonic() - began)
    assert tree(tmp_path) == made
    assert f"sweep: {4 * SEEDS} done" in second.stdout

    # A τ more, and two ways to say a run that is there: 2 runs a seed are new.
    larger = ("tau=one,inverse_sqrt,inverse", *GRID[1:])
    third = taunode("-m", *TINY, *larger, "hydra.sweep.dir=sweep", cwd=tmp_path)
    assert f"sweep: {6 * SEEDS} done" in third.stdout
    found = records(tmp_path / "sweep")
    assert len(found) == 6 * SEEDS
    assert {len(record["attempts"]) for record in found.values()} == {1}
    kept = {name: what for name, what in tree(tmp_path).items() if name in made}
    assert {name for name in made if kept[name] != made[name]} == set()


def test_our_launcher_and_hydras_basic_one_give_the_same(swept):
    done = taunode("-m", *TINY, "seed=0,1", "hydra.sweep.dir=basic", "hydra/launcher=basic", cwd=swept)
    assert "Warning" not in done.stderr
    assert set(records(swept / "basic")) == set(records(swept / "ours"))
    assert results(swept / "basic") == results(swept / "ours")
    for sweep in ("ours", "basic"):
        assert {path.name for path in (swept / sweep).iterdir()} == {"runs", "commands"}
        for run in (swept / sweep / "runs").iterdir():
            assert {path.name for path in run.iterdir()} == RUN_FILES, sweep


def test_hydras_basic_sweeper_gives_the_same_runs_in_the_same_place(swept):
    taunode("-m", *TINY, "seed=0,1", "hydra/sweeper=basic", cwd=swept)
    (made,) = (swept / "sweeps").iterdir()
    assert made.name.startswith("seed,depth=8,")  # and what else was typed
    assert results(made) == results(swept / "ours")


def test_hydras_launcher_gets_the_runtime_of_the_command(swept):
    command = (
        *TINY,
        "seed=0",
        "hydra/launcher=basic",
        "runtime.keep_checkpoint=true",
        "runtime.checkpoint_seconds=0.001",
    )
    taunode("-m", *command, "schedule.epochs=2", "hydra.sweep.dir=kept", cwd=swept)
    (record,) = records(swept / "kept").values()
    assert record["attempts"][0]["runtime"]["keep_checkpoint"] is True
    assert len(list((swept / "kept").glob("runs/*/checkpoint.1.pt"))) == 1


def test_a_search_gets_the_test_error_of_each_job(swept):
    script = """
import sys
from hydra._internal.hydra import Hydra
from taunode.plan.compose import CONFIG, search_path
from taunode.command.plugins import register

register()
hydra = Hydra.create_main_hydra2("taunode", search_path())
(batch,) = hydra.multirun(CONFIG, None, [*sys.argv[1:], "hydra/sweeper=basic", "hydra.mode=MULTIRUN"])
print("objectives", *[job.return_value for job in batch])
"""
    command = [sys.executable, "-c", script, *TINY, "seed=1,0", "hydra.sweep.dir=ours"]
    done = subprocess.run(command, cwd=swept, env=environment(), capture_output=True, text=True, check=True)
    runs = records(swept / "ours")
    expected = [
        record["summary"]["final_test_error"] for name, record in sorted(runs.items(), reverse=True)
    ]  # seed=1 before seed=0
    assert done.stdout.splitlines()[-1].split() == ["objectives", *map(str, expected)]


@pytest.mark.parametrize("options", [(), ("hydra/launcher=basic",), ("hydra/sweeper=basic",)])
def test_a_failed_run_is_exit_code_1(options, tmp_path, monkeypatch):
    """Its neighbours are done; what failed is named, and so is what to type next."""
    monkeypatch.chdir(tmp_path)
    write(plan("seed=0,1"))
    broken = next(run for run in (tmp_path / "sweep" / "runs").iterdir() if run.name.startswith("seed=0"))
    config = broken / "config.yaml"
    config.write_text(config.read_text().replace("depth: 8", "depth: 9"))
    done = taunode("-m", *TINY, "hydra.sweep.dir=sweep", "seed=0,1", *options, cwd=tmp_path, code=1)
    assert [record["state"] for record in records(tmp_path / "sweep").values()] == ["failed", "done"]
    assert "depth must be 6n+2" in done.stderr
    assert (broken / "error.1.txt").exists()
    if not options:
        assert "taunode-sweep resume sweep" in done.stdout
