"""The claim: one owner, whose word counts no more once another attempt owns the run or has ended it."""

import errno
import io
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from harness import start, wait_until

from taunode.runs.claim import Claim, LostClaim, cancel, take
from taunode.runs.directory import RunDirectory
from taunode.runs.files import write_json
from taunode.runs.observe import fingerprint, look
from taunode.runs.record import Record
from taunode.runs.state import BROKEN, State
from taunode.work.attempt import AttemptFiles

PROCESSES = 8
SUMMARY = {"epochs": 1, "final_test_error": 50.0}


def new_run(path: Path) -> RunDirectory:
    path.mkdir()
    run = RunDirectory(path)
    record = Record(path.name, "0" * 32, State.PLANNED, "2026-01-01T00:00:00+00:00", None, [], {}, {}, [], {})
    write_json(run.record, record.to_json())
    return run


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return new_run(tmp_path / "run")


def fall_silent(run: RunDirectory) -> None:
    """As if the owner of the newest attempt had not been heard of for an hour, somewhere else."""
    path = run.claim(run.attempts())
    about = json.loads(path.read_bytes())
    about["owner"]["host"] += " elsewhere"
    write_json(path, about)
    an_hour_ago = path.stat().st_mtime - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))


def named(run: RunDirectory) -> str:
    """What the plain name leads to."""
    return (run.path / "metrics.csv").read_text()


def overtaken(run: RunDirectory) -> tuple[Claim, Claim]:
    """An owner that slept, and the one that took the run over."""
    old = take(run, {}, lease=10.0)
    fall_silent(run)
    return old, take(run, {}, lease=10.0)


def test_a_claimed_run_is_running_and_nobody_else_gets_it(run: RunDirectory) -> None:
    claim = take(run, {"host": {"host": "here"}}, lease=10.0)
    assert claim.attempt == 1
    assert take(run, {}, lease=10.0) is None
    record, _, state = look(run)
    assert (state, record.state, record.attempts[0]["host"]["host"]) == (State.RUNNING, "running", "here")


def test_a_silent_owner_elsewhere_is_taken_over_after_its_lease(run: RunDirectory) -> None:
    old, new = overtaken(run)
    assert new.attempt == 2
    assert new.about["took_over"].startswith("attempt 1, silent for 3600 s")
    assert old.lost()
    assert not new.lost()


def test_a_heartbeat_keeps_the_claim(run: RunDirectory) -> None:
    old = take(run, {}, lease=10.0)
    fall_silent(run)
    old.beat()
    assert take(run, {}, lease=10.0) is None


def test_who_has_lost_its_claim_writes_nothing_more(run: RunDirectory) -> None:
    old, new = overtaken(run)
    files = AttemptFiles(old)
    before = {path.name: path.lstat().st_mtime_ns for path in run.path.iterdir()}
    for write in (
        lambda: files.checkpoint(lambda file: file.write(b"late")),
        lambda: files.tables([{"epoch": 1}], [{"epoch": 1}]),
        lambda: files.weights("model", {"w": torch.zeros(1)}, 1),
        lambda: old.end(State.DONE, "finished", summary=SUMMARY),
        lambda: old.end(State.FAILED, "late"),
    ):
        with pytest.raises(LostClaim):
            write()
    assert {path.name: path.lstat().st_mtime_ns for path in run.path.iterdir()} == before
    assert new.end(State.DONE, "finished", summary=SUMMARY) is State.DONE


def test_nothing_is_written_after_done(run: RunDirectory) -> None:
    claim = take(run, {}, lease=10.0)
    claim.end(State.DONE, "finished", summary=SUMMARY)
    with pytest.raises(LostClaim):
        claim.hold()
    assert take(run, {}, lease=10.0, also=BROKEN, newest=1) is None


def test_a_late_record_of_an_old_owner_hides_nothing(run: RunDirectory) -> None:
    """It slept between its last look at the claims and the write to run.json."""
    old, new = overtaken(run)
    old.about |= {"state": State.PLANNED, "end": "stopped by SIGTERM"}
    old.publish(State.PLANNED)
    assert len(run.read_record().attempts) == 1
    assert look(run)[2] is State.RUNNING
    assert take(run, {}, lease=10.0) is None

    new.end(State.DONE, "finished", summary=SUMMARY)
    old.publish(State.PLANNED)
    _, seen, state = look(run)
    assert state is State.DONE
    assert seen.done["summary"] == SUMMARY


def test_of_two_that_are_done_the_first_counts_and_has_the_plain_names(run: RunDirectory) -> None:
    """The old owner slept within `end`, after its last look at the claims."""
    old, new = overtaken(run)
    for attempt in (1, 2):
        run.metrics(attempt).write_text(str(attempt))
    old.lost = lambda: False
    old.end(State.DONE, "finished", summary=SUMMARY)
    with pytest.raises(LostClaim):
        new.end(State.DONE, "finished", summary={})
    assert run.read_done()["attempt"] == 1
    assert named(run) == "1"
    assert look(run)[1].done["summary"] == SUMMARY


def test_who_claims_while_the_run_is_ended_leaves_the_plain_names_alone(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`done` appears after the new owner's look at it, and before it sets the links."""
    old = take(run, {}, lease=10.0)
    for attempt in (1, 2):
        run.metrics(attempt).write_text(str(attempt))
    fall_silent(run)
    link = RunDirectory.link

    def ended_meanwhile(directory: RunDirectory, attempt: int) -> None:
        monkeypatch.setattr(RunDirectory, "link", link)
        old.lost = lambda: False
        old.end(State.DONE, "finished", summary=SUMMARY)
        link(directory, attempt)

    monkeypatch.setattr(RunDirectory, "link", ended_meanwhile)
    assert take(run, {}, lease=10.0) is None
    assert named(run) == "1"


def test_a_claim_removes_what_killed_writers_left(run: RunDirectory) -> None:
    take(run, {}, lease=10.0)
    (run.path / ".checkpoint.1.pt.0123abcd").write_bytes(b"half")
    (run.path / ".checkpoint.2.pt.0123abcd").write_bytes(b"being written")
    fall_silent(run)
    take(run, {}, lease=10.0)
    assert [path.name for path in run.path.glob(".checkpoint*")] == [".checkpoint.2.pt.0123abcd"]


def test_a_checkpoint_replaces_those_of_earlier_attempts(run: RunDirectory) -> None:
    old = take(run, {}, lease=10.0)
    AttemptFiles(old).checkpoint(lambda file: file.write(b"first"))
    fall_silent(run)
    new = take(run, {}, lease=10.0)
    assert run.checkpoints() == [1]
    AttemptFiles(new).checkpoint(lambda file: file.write(b"second"))
    assert run.checkpoints() == [2]
    assert fingerprint(run) != new.about["checkpoints"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_previous_one(run: RunDirectory) -> None:
    files = AttemptFiles(take(run, {}, lease=10.0))
    files.checkpoint(lambda file: file.write(b"whole"))

    def fail(file: io.BytesIO) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        files.checkpoint(fail)
    assert run.checkpoint(1).read_bytes() == b"whole"


def test_a_look_writes_nothing(run: RunDirectory) -> None:
    take(run, {}, lease=10.0)
    before = run.path.stat().st_mtime_ns
    assert look(run)[2] is State.RUNNING
    assert run.path.stat().st_mtime_ns == before


def test_a_run_that_was_removed_and_made_anew_is_another(run: RunDirectory) -> None:
    """Its old owner, which still has the number of the new one's claim, must not write into it."""
    old = take(run, {}, lease=10.0)
    shutil.rmtree(run.path)
    assert old.lost()
    new_run(run.path)
    new = take(run, {}, lease=10.0)
    assert (new.attempt, new.lost(), old.lost()) == (1, False, True)


def test_a_run_at_work_is_asked_to_end_and_one_that_waits_is_not_begun(run: RunDirectory) -> None:
    claim = take(run, {}, lease=10.0)
    assert not claim.cancelled()
    assert cancel(run) is State.RUNNING
    assert claim.cancelled()
    claim.end(State.CANCELLED, "cancelled")
    assert look(run)[2] is State.CANCELLED
    assert cancel(run) is None

    again = take(run, {}, lease=10.0, also=BROKEN, newest=1)
    assert not again.cancelled()
    again.end(State.PLANNED, "stopped")
    assert cancel(run) is State.PLANNED
    assert look(run)[2] is State.CANCELLED
    assert take(run, {}, lease=10.0) is None


def test_done_is_a_second_name_of_the_claim(run: RunDirectory) -> None:
    claim = take(run, {}, lease=10.0)
    claim.end(State.DONE, "finished", summary=SUMMARY)
    assert os.path.samefile(run.done, run.claim(1))
    assert run.read_done()["summary"] == SUMMARY


def test_an_end_is_recorded_though_somebody_has_broken_the_record(run: RunDirectory) -> None:
    claim = take(run, {}, lease=10.0)
    run.record.write_text("{")
    assert claim.end(State.DONE, "finished", summary=SUMMARY) is State.DONE
    assert run.read_done()["state"] == "done"
    assert run.record.read_text() == "{"


def _take_all(paths: list[Path], won: Path) -> None:
    for path in paths:
        if take(RunDirectory(path), {}, lease=60.0) is not None:
            (won / f"{path.name}.{os.getpid()}").touch()
    (won / f".over.{os.getpid()}").touch()
    wait_until(lambda: len(list(won.glob(".over.*"))) == PROCESSES)  # the runs of one that has ended may be taken over


def test_of_eight_processes_one_gets_each_run(tmp_path: Path) -> None:
    won = tmp_path / "won"
    won.mkdir()
    runs = [new_run(tmp_path / f"run{number}").path for number in range(100)]
    processes = [start(_take_all, runs, won) for _ in range(PROCESSES)]
    for process in processes:
        process.join()
    assert sorted(path.name.partition(".")[0] for path in won.glob("run*")) == sorted(path.name for path in runs)
