"""A full disk: the previous checkpoint is intact, the run has failed, and the message says which disk."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import faults
import pytest
from harness import attempts, finish, results

from taunode.runs.directory import RunDirectory
from taunode.runs.observe import look
from taunode.runs.state import BROKEN, State
from taunode.training.checkpoint import furthest


def mount_of(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if os.path.ismount(parent))


def assert_failed_and_intact(run: RunDirectory) -> None:
    assert look(run)[2] is State.FAILED
    end = attempts(run)[0]["end"]
    assert end == f"no space left on the disk mounted at {mount_of(run.path)}; what was written before is intact"
    assert json.loads(run.record.read_bytes())["attempts"][0]["end"] == end
    state = furthest(run.open_checkpoints())
    assert (state["epoch"], state["step"]) == (0, 1)
    assert not list(run.path.glob(".checkpoint*"))


def test_a_checkpoint_that_finds_no_space(run: RunDirectory) -> None:
    finish([run], fault=faults.full_disk_after_a_checkpoint, checkpoint_seconds=1e-6)
    assert_failed_and_intact(run)
    finish([run], also=BROKEN, newest=1)
    assert look(run)[2] is State.DONE
    assert "goes on after epoch 0 and 1 steps" in run.log(2).read_text()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", path], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_disk_that_is_really_full(run: RunDirectory, small_disk: Path) -> None:
    shutil.copytree(run.path.parents[1], small_disk / "sweep")
    full = RunDirectory(small_disk / "sweep/runs" / run.path.name)
    finish([full], fault=faults.filled_disk_after_a_checkpoint, checkpoint_seconds=1e-6)
    assert_failed_and_intact(full)
    (small_disk / "sweep/filler").unlink()
    finish([full], also=BROKEN, newest=1)
    finish([run])
    assert results(full) == results(run)
