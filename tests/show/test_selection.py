"""Which runs a command is about, and what it prints of them; no training."""

import io
from pathlib import Path

import pytest
from cli import plan

from taunode.cluster.submission import InSlurm
from taunode.command.going_on import NAME
from taunode.command.sweep import main
from taunode.errors import BadInput
from taunode.plan.write import write
from taunode.runs.claim import take
from taunode.runs.directory import RunDirectory
from taunode.runs.state import State
from taunode.show import logs
from taunode.show.selection import one_run, select


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four runs; the first has failed, the second is done."""
    monkeypatch.chdir(tmp_path)
    made = plan("seed=0,1", "tau=one,inverse_sqrt")
    write(made)
    first, second = made.runs[0].run, made.runs[1].run
    take(first, {"code": "aaa"}, lease=60.0).end(State.FAILED, "exit 3")
    take(second, {"code": "bbb"}, lease=60.0).end(State.DONE, "finished", summary={"epochs": 1})
    return tmp_path / "sweep"


def taunode_sweep(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *typed: str) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", [NAME, *typed])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    return int(ended.value.code or 0), out + err


def test_by_state_and_by_condition(sweep):
    assert len(select(sweep).runs) == 4
    assert {one.state for one in select(sweep, only="failed,done").runs} == {"failed", "done"}
    assert len(select(sweep, where="tau.exponent == 0.5 and state == 'planned'").runs) == 1
    assert select(sweep, where="seed == 7").runs == []
    with pytest.raises(BadInput, match="--only fail: no such state; valid: failed"):
        select(sweep, only="fail")
    with pytest.raises(BadInput, match="unknown key 'sed'"):
        select(sweep, where="sed == 7")


def test_one_run(sweep):
    run = select(sweep).runs[0].run
    assert one_run(run.path).path == run.path
    with pytest.raises(BadInput, match="it is a sweep, of which this is a run"):
        one_run(sweep)
    with pytest.raises(BadInput, match="not a run directory"):
        one_run(sweep.parent)


def test_a_log_is_printed_from_the_newest_attempt(sweep):
    run = select(sweep).runs[0].run
    run.log(1).write_text("first\n")
    out = io.StringIO()
    logs.print_log(run, follow=False, out=out)
    assert out.getvalue() == "first\n"


def test_a_log_is_followed_into_the_next_attempt_until_the_run_ends(sweep, monkeypatch):
    run = select(sweep).runs[0].run
    run.log(1).write_text("first\n")
    left = [
        lambda: run.log(1).write_text("first\nmore\n"),
        lambda: (run.claim(2).write_text(run.claim(1).read_text()), run.log(2).write_text("second\n")),
    ]

    def look(slurm: InSlurm, run: RunDirectory) -> tuple[None, None, State]:
        if left:
            left.pop(0)()
            return None, None, State.RUNNING
        return None, None, State.DONE

    monkeypatch.setattr(InSlurm, "look", look)
    out = io.StringIO()
    logs.print_log(run, follow=True, out=out, pause=0.0)
    assert out.getvalue() == "first\nmore\nsecond\n"


def test_why_two_runs_differ(sweep, capfd, monkeypatch):
    runs = {tuple(run.run.read_config()[k] for k in ("seed",)): run.run for run in select(sweep).runs}
    one, other = str(runs[(0,)].path), str(runs[(1,)].path)
    code, told = taunode_sweep(capfd, monkeypatch, "why", one, other)
    assert code == 1
    assert "seed: 0 1" in told
    assert taunode_sweep(capfd, monkeypatch, "why", one, one) == (0, "the same run\n")


def test_status_warns_when_attempts_ran_different_code(sweep, capfd, monkeypatch):
    code, told = taunode_sweep(capfd, monkeypatch, "status", str(sweep))
    assert code == 1
    assert f"{sweep}: 2 planned, 1 done, 1 failed\n" in told
    warned = told.splitlines()[-1]
    assert "attempts of this sweep ran different code: " in warned
    assert "aaa (seed=" in warned
    assert "bbb (seed=" in warned


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["resume", "sweep", "seed=3"], ["seed=3", "runtime.KEY=VALUE", "hydra.launcher.KEY=VALUE"]),
        (["resume", "sweep", "--only", "preempted"], ["no run is preempted", "2 planned"]),
        (["resume", "sweep", "--here", "hydra.launcher.time=5"], ["hydra.launcher", "goes on here"]),
        (["resume", "sweep", "hydra.launcher.tiem=5"], ["hydra.launcher.tiem", "nearest: hydra.launcher.time"]),
        (["worker", "sweep", "hydra.launcher.time=5"], ["hydra.launcher", "a worker works here"]),
        (["logs", "sweep"], ["sweep is not a run directory"]),
        (["why", "sweep", "sweep"], ["sweep is not a run directory"]),
    ],
)
def test_what_is_refused(typed, words, sweep, capfd, monkeypatch):
    code, told = taunode_sweep(capfd, monkeypatch, *typed)
    assert code == 2
    assert told.count("\n") == 1, told
    assert not [word for word in words if word not in told], told
