"""Several processes started by torchrun train one run together: as one process would, and without losing anything."""

import csv
import os
import signal
import time
from pathlib import Path

import pytest
from cli import TINY, record, records, start, taunode

from taunode.command.execution import check_team
from taunode.command.line import Line
from taunode.command.plugins import register
from taunode.data.share import Share
from taunode.errors import BadInput
from taunode.plan.command_line import plan_multirun
from taunode.work.member import Member

# 33 images in batches of 16: of the last batch, one image, the first process has nothing.
TOGETHER = (
    *TINY,
    "arch.norm=none",
    "tau=inverse_sqrt",
    "dataset.train_images=33",
    "dataset.crop_padding=1",
    "dataset.flip=true",
    "dataset.holdout=0",
    "schedule.epochs=4",
    "precision=fp64",
)


def curves(run: Path) -> list[dict[str, float]]:
    with open(run / "metrics.csv", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def same(run: Path, other: Path) -> None:
    """The law: ≤ 1e-9 in every column of every epoch."""
    mine, theirs = curves(run), curves(other)
    assert [row.keys() for row in mine] == [row.keys() for row in theirs]
    for ours, others in zip(mine, theirs, strict=True):
        assert ours == pytest.approx(others, rel=0, abs=1e-9)


def test_two_processes_train_a_sweep_as_one_does(tmp_path: Path) -> None:
    sweep = ("-m", *TOGETHER, "seed=0,1")
    taunode(*sweep, "hydra.sweep.dir=one", cwd=tmp_path)
    taunode(*sweep, "hydra.sweep.dir=two", cwd=tmp_path, processes=2)
    for name, found in records(tmp_path / "two").items():
        same(tmp_path / "one" / "runs" / name, tmp_path / "two" / "runs" / name)
        (attempt,) = found["attempts"]
        assert (found["state"], attempt["processes"]) == ("done", 2)
    again = taunode(*sweep, "hydra.sweep.dir=two", cwd=tmp_path, processes=2)
    assert "two: 2 done" in again.stdout
    assert all(len(found["attempts"]) == 1 for found in records(tmp_path / "two").values())


def test_a_killed_process_costs_an_attempt_and_a_stopped_team_goes_on(tmp_path: Path) -> None:
    """The follower's child is killed, later all are told to stop: the curve is still that of one process."""
    longer = (*TOGETHER, "dataset.train_images=1025", "schedule.epochs=3", "runtime.checkpoint_seconds=0.01")
    taunode(*longer, "hydra.run.dir=one", cwd=tmp_path)
    run = tmp_path / "two"
    team = start(*longer, "hydra.run.dir=two", cwd=tmp_path, processes=2)
    os.kill(_following_child(team.pid, run, attempt=1), signal.SIGKILL)
    while not (run / "checkpoint.2.pt").exists():
        assert team.poll() is None
        time.sleep(0.01)
    team.send_signal(signal.SIGTERM)
    team.communicate()
    found = record(run)
    assert "killed by SIGKILL (process 1 of 2" in found["attempts"][0]["end"]
    assert (found["state"], found["attempts"][1]["end"]) == ("planned", "stopped by SIGTERM")
    taunode(*longer, "hydra.run.dir=two", cwd=tmp_path, processes=2)
    assert record(run)["state"] == "done"
    same(tmp_path / "one", run)


def _following_child(torchrun: int, run: Path, attempt: int) -> int:
    """The child that trains with the leader's: the grandchild of torchrun that did not write the checkpoint."""
    while not (run / f"checkpoint.{attempt}.pt").exists():
        time.sleep(0.01)
    leader = record(run)["attempts"][0]["owner"]["pid"]
    follower = next(pid for pid in _children(torchrun) if pid != leader)
    return _children(follower)[0]


def _children(pid: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def test_what_several_processes_cannot_do_together_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    refused = start(*TINY, "hydra.run.dir=run", cwd=tmp_path, processes=2)
    _, err = refused.communicate()
    assert refused.returncode != 0
    assert "taunode: batch normalisation on 2 processes needs GPUs" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["arch=resnet20_nobn", "schedule.batch_size=1"], "schedule.batch_size=1 cannot be shared out to 2"),
        (["arch=rkhs_node", "solver=dopri5"], "adaptive solver"),
        (["arch=rkhs_resnet18", "arch.layers=1"], "batch normalisation on 2 processes"),
        (["runtime.device=cuda:0"], "valid: cuda or cpu"),
        (["runtime.device=cuda"], "2 processes on this machine, which has 0 CUDA devices"),
    ],
)
def test_the_reasons_for_a_refusal(
    overrides: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    register()
    composer = Line.of([*overrides, "hydra.sweep.dir=sweep"], multirun=True).composer()
    member = Member(Share(0, 2), 0, 2, "localhost", 0, hosts=False, session="")
    with pytest.raises(BadInput, match=complaint):
        check_team(plan_multirun(composer, composer.typed), member)
