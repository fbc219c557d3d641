"""Keeping: what is archived comes back, can be gone on with, and nothing of the user's is overwritten."""

import filecmp
import os
import shutil
import signal
import subprocess
import sys
import time

import archives
import pytest
from cli import TINY, environment, plan, snapshot, start, taunode

from taunode.plan.write import write
from taunode.runs.claim import take
from taunode.runs.directory import RunDirectory
from taunode.runs.observe import look
from taunode.runs.state import State


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A directory in which `sweep` has two runs that are done, and two that are planned."""
    here = tmp_path_factory.mktemp("trained")
    taunode("-m", *TINY, "seed=0,1", "hydra.sweep.dir=sweep", cwd=here)
    cwd = os.getcwd()
    os.chdir(here)
    try:
        write(plan("seed=0,1,2,3"))
    finally:
        os.chdir(cwd)
    return here / "sweep"


def assert_same(first, second):
    """Every file and folder of one is in the other, with the same bytes."""
    names = [{str(path.relative_to(root)) for path in root.rglob("*")} for root in (first, second)]
    assert names[0] == names[1]
    for name in names[0]:
        if (first / name).is_file():
            assert filecmp.cmp(first / name, second / name, shallow=False), name


def test_a_sweep_comes_back_whole_and_goes_on(trained, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    code, out, err = call("archive", trained, "--output", "kept.zip")
    assert (code, err) == (0, "")
    assert out.startswith("kept.zip: ")
    assert call("restore", "kept.zip", "deep/again")[0] == 0
    again = tmp_path / "deep" / "again"
    assert_same(trained, again)
    done = [run for run in (again / "runs").iterdir() if (run / "done").exists()]
    assert len(done) == 2
    for run in done:
        assert os.path.samefile(run / "done", run / "claim.1")
        assert os.path.samefile(run / "metrics.csv", run / "metrics.1.csv")
        assert os.path.samefile(run / "config.yaml", run / ".hydra" / "config.yaml")
    assert "2 done" in call("status", again)[1].replace("\n", " ")
    assert call("archive", again, "--output", "twice.zip")[0] == 0
    assert (tmp_path / "kept.zip").read_bytes() == (tmp_path / "twice.zip").read_bytes()
    words = [sys.executable, "-c", "from taunode.command.sweep import main; main()", "resume", "deep/again"]
    subprocess.run(words, cwd=tmp_path, env=environment(), check=True, capture_output=True)
    assert "4 done" in call("status", again)[1]


def test_without_weights(trained, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    assert call("archive", trained, "--without", "weights,checkpoints", "--output", "small.zip")[0] == 0
    assert call("restore", "small.zip")[1].endswith("without checkpoints and weights\n")
    assert not list((tmp_path / "small").rglob("*.safetensors"))
    assert "2 done" in call("status", "small")[1]


def test_a_run_alone(trained, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    run = next(path for path in (trained / "runs").iterdir() if (path / "done").exists())
    assert call("archive", run, "--output", "one.zip")[0] == 0
    assert call("restore", "one.zip")[0] == 0
    assert_same(run, tmp_path / "one")


def test_nothing_is_overwritten(trained, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.zip").write_text("mine")
    code, _, err = call("archive", trained, "--output", "x.zip")
    assert code == 2
    assert "is there already" in err
    assert (tmp_path / "x.zip").read_text() == "mine"
    assert call("archive", trained, "--output", "x.zip", "--force")[0] == 0
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine").touch()
    before = snapshot(tmp_path)
    assert call("restore", "x.zip")[0] == 2
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("archive", "sweep", "--without", "weight"), "--without weight: no such part; valid: weights"),
        (("archive", "nowhere"), "nowhere is not a sweep directory: it does not exist"),
        (("archive", "sweep", "--output", "x.tar"), "--output x.tar: an archive is one .zip file"),
        (("archive", "sweep", "--output", "sweep/x.zip"), "would lie in what it is of"),
        (("restore", "nowhere.zip"), "there is no such file"),
        (("restore", "sweep"), "is not a regular file"),
    ],
)
def test_what_is_typed_wrong(trained, monkeypatch, call, typed, said):
    monkeypatch.chdir(trained.parent)
    before = snapshot(trained.parent)
    code, out, err = call(*typed)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert snapshot(trained.parent) == before


def test_a_sweep_at_work_is_refused_or_archived_without_what_is(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    write(plan("seed=0,1"))
    runs = [RunDirectory(path) for path in sorted((tmp_path / "sweep" / "runs").iterdir())]
    claim = take(runs[0], {}, 60.0)
    assert claim is not None
    code, _, err = call("archive", "sweep")
    assert code == 2
    assert f"{runs[0].path.name} at work" in err
    assert not (tmp_path / "sweep.zip").exists()
    assert call("archive", "sweep", "--without", "running")[0] == 0
    assert call("restore", "sweep.zip", "again")[0] == 0
    assert [path.name for path in (tmp_path / "again" / "runs").iterdir()] == [runs[1].path.name]


def test_a_claim_that_comes_back_was_not_just_heard_of(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    write(plan("seed=0"))
    (run,) = [RunDirectory(path) for path in (tmp_path / "sweep" / "runs").iterdir()]
    claim = take(run, {"started": "2026-01-01T00:00:00+00:00", "owner": {**OTHER}}, 60.0)
    assert claim is not None
    os.utime(run.claim(1), (1, 1))
    assert look(run)[2] is State.STALLED
    assert call("archive", "sweep")[0] == 0
    assert call("restore", "sweep.zip", "again")[0] == 0
    assert look(RunDirectory(tmp_path / "again" / "runs" / run.path.name))[2] is State.STALLED


OTHER = {"host": "elsewhere", "boot": "another", "namespace": None, "pid": 1, "started": "1", "slurm": None}


@pytest.mark.parametrize("case", archives.CASES, ids=lambda case: case.name)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_spoilt_archive_is_one_line(tmp_path, monkeypatch, call, case):
    monkeypatch.chdir(tmp_path)
    made = archives.healthy()
    case.spoil(made)
    made.write(tmp_path / "x.zip")
    before = snapshot(tmp_path)
    code, out, err = call("restore", "x.zip")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert case.said in err.replace("\\\\", "\\")
    assert snapshot(tmp_path) == before


def test_notes_are_shown_by_all_who_look(trained, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, "sweep", symlinks=True)
    run = sorted(path for path in (tmp_path / "sweep" / "runs").iterdir() if path.name.startswith("seed=1"))[0]
    before = snapshot(tmp_path)
    assert call("note", "sweep") == (0, "sweep: nothing is noted\n", "")
    assert snapshot(tmp_path) == before
    assert call("note", "sweep", "for the thesis", "--tag", "b", "--tag", "a")[1] == "sweep: for the thesis #a #b\n"
    assert call("note", run, "the best one", "--tag", "good")[0] == 0
    assert call("note", "sweep", "--untag", "a")[1] == "sweep: for the thesis #b\n"
    assert "for the thesis #b" in call("list")[1]
    shown = call("status", "sweep")[1]
    assert "for the thesis #b" in shown
    assert "the best one #good" in shown
    chosen = call("status", "sweep", "--where", '"good" in tags')[1]
    assert "seed=1" in chosen
    assert "seed=0" not in chosen
    assert call("note", run, "")[1] == f"{run}: #good\n"
    assert call("note", run, "--untag", "good")[1] == f"{run}: nothing is noted\n"
    assert not (run / "note.json").exists()


def test_a_note_is_kept_in_an_archive_and_is_no_part_of_a_run(trained, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, "sweep", symlinks=True)
    for run in (tmp_path / "sweep" / "runs").iterdir():
        assert call("note", run, "x")[0] == 0
    assert call("archive", "sweep")[0] == 0
    assert call("restore", "sweep.zip", "again")[0] == 0
    assert_same(tmp_path / "sweep", tmp_path / "again")
    (run,) = [path for path in (tmp_path / "again" / "runs").iterdir() if path.name.startswith("seed=0")]
    assert call("why", run, next((trained / "runs").glob("seed=0*")))[1] == "the same run\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("two\nlines",), "a note is one line"),
        (("\x1b[2J",), "a note is one line"),
        (("x" * 1001,), "at most 1,000 characters"),
        (("--tag", "two words"), "a tag is a word"),
        (("--untag", "x"), "has no such tag; it has: none"),
    ],
)
def test_what_no_note_is(trained, monkeypatch, call, typed, said):
    monkeypatch.chdir(trained.parent)
    before = snapshot(trained.parent)
    code, out, err = call("note", "sweep", *typed)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert snapshot(trained.parent) == before


def test_a_run_that_was_cut_off_goes_on_from_its_checkpoint_and_ends_with_the_same_bytes(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    command = start("-m", *TINY, "schedule.epochs=40", "seed=0", "hydra.sweep.dir=sweep", cwd=tmp_path)
    while not list(tmp_path.glob("sweep/runs/*/metrics.1.csv")):
        assert command.poll() is None
        time.sleep(0.05)
    command.send_signal(signal.SIGINT)
    command.communicate()
    (run,) = (tmp_path / "sweep" / "runs").iterdir()
    assert command.returncode == 130
    assert (run / "checkpoint.1.pt").exists()
    assert call("archive", "sweep")[0] == 0
    assert call("restore", "sweep.zip", "again")[0] == 0
    assert_same(tmp_path / "sweep", tmp_path / "again")
    assert os.readlink(tmp_path / "again" / "runs" / run.name / "metrics.csv") == "metrics.1.csv"
    for sweep in ("sweep", "again"):
        words = [sys.executable, "-c", "from taunode.command.sweep import main; main()", "resume", sweep]
        subprocess.run(words, cwd=tmp_path, env=environment(), check=True, capture_output=True)
    for name in ("metrics.csv", "model.safetensors", "best.safetensors"):
        assert (run / name).read_bytes() == (tmp_path / "again" / "runs" / run.name / name).read_bytes()
    assert "goes on after epoch" in (tmp_path / "again" / "runs" / run.name / "log.2.txt").read_text()
