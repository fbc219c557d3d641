"""Cancelling: what stands in its way stops nothing else of it."""

import os
from pathlib import Path

import pytest
from harness import plan
from stand_ins import StandIns

from taunode.cluster.resources import Resources
from taunode.cluster.submission import Submission, look_again
from taunode.command.cancel import cancel
from taunode.runs.directory import SweepDirectory
from taunode.show.selection import select


def test_a_full_disk_keeps_no_job_from_being_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins = StandIns(tmp_path / "programs")
    for name, value in stand_ins.environment.items():
        monkeypatch.setenv(name, value)
    sweep = SweepDirectory(tmp_path / "sweep")
    names = [run.path.name for run in plan(sweep.path, seeds=2)]
    sweep.slurm.mkdir()
    Submission("sweep-1", names, {}, {}, Resources(), {}, 1, 1).write(sweep)
    stand_ins.answer(f"5000|5000|PENDING|N/A|sweep-1|{sweep.slurm / 'x.sh'}|taunode=sweep-1\n")
    look_again()

    def full(submission: Submission, where: SweepDirectory) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Submission, "write", full)
    found = cancel(sweep.path, select(sweep.path), everything=True)
    assert found.broken == [("sweep-1", "its jobs are, but no file says so: No space left on device")]
    assert found.jobs == ["5000"]
    assert ["scancel", "5000"] in stand_ins.calls()
