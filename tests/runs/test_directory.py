"""The run directory: files appear whole or not at all, and of many writers of one name one wins."""

import json
import os
from pathlib import Path
from typing import BinaryIO

import pytest
from harness import start

from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory, runs_of
from taunode.runs.files import Unreadable, link_once, read_yaml, to_yaml, write_aside, write_json
from taunode.runs.owner import identity
from taunode.runs.record import FORMAT, NewerFormat, Record
from taunode.runs.state import State

RECORD = Record("a", "0" * 32, State.PLANNED, "2026-01-01T00:00:00+00:00", None, ["seed=1"], {"blocks": 3}, {}, [], {})


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError()])
def test_the_old_file_stays_whole_when_the_writer_fails(error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def half(file: BinaryIO) -> None:
        file.write(b"new")
        raise error

    with pytest.raises(type(error)):
        write_aside(path, half)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_as_a_whole(durable: bool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"old", b"new"):
        write_aside(path, lambda file, content=content: file.write(content), durable)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["file"]


def test_while_it_is_written_readers_see_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen = []

    def write(file: BinaryIO) -> None:
        file.write(b"new")
        file.flush()
        seen.append(path.read_bytes())

    write_aside(path, write)
    assert seen == [b"old"]


def _link_all(directory: Path) -> None:
    for number in range(200):
        if link_once(directory / f"name.{number}", {"by": os.getpid()}):
            (directory / f"won.{number}.{os.getpid()}").touch()


def test_of_eight_processes_one_links_each_name(tmp_path: Path) -> None:
    processes = [start(_link_all, tmp_path) for _ in range(8)]
    for process in processes:
        process.join()
    won = [path.name.split(".") for path in tmp_path.glob("won.*")]
    assert sorted(int(number) for _, number, _ in won) == list(range(200))
    for _, number, pid in won:
        assert json.loads((tmp_path / f"name.{number}").read_bytes()) == {"by": int(pid)}
    assert not list(tmp_path.glob(".*"))


def test_a_link_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space"):
        link_once(tmp_path / "name", {})
    assert os.listdir(tmp_path) == []


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    write_json(run.record, RECORD.to_json())
    assert run.read_record() == RECORD


def test_a_newer_format_is_refused_with_both_numbers(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    write_json(run.record, {**RECORD.to_json(), "format": FORMAT + 1})
    with pytest.raises(NewerFormat, match=rf"format {FORMAT + 1}; this one reads {FORMAT}"):
        run.read_record()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not a run directory"),
        ("{", "is not JSON"),
        ("[]", "is not a record"),
        ('{"format": 1, "name": "a"}', "missing required field `signature`"),
    ],
)
def test_a_damaged_record_is_one_clear_line(content: str | None, message: str, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    if content is not None:
        run.record.write_text(content)
    with pytest.raises(BadInput, match=message) as caught:
        run.read_record()
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("settings", [{"threads": "x"}, {"threads": 0}, {"compile": 1}, {"channels_last": []}])
def test_settings_of_an_attempt_that_are_none_are_refused(settings: dict[str, object], tmp_path: Path) -> None:
    run, owner = RunDirectory(tmp_path), identity()
    attempt = {"attempt": 1, "owner": owner, "started": "", "lease": 1.0, "checkpoints": [], "runtime": settings}
    write_json(run.claim(1), attempt)
    with pytest.raises(Unreadable, match=next(iter(settings))):
        run.read_claim(1)


def test_the_newest_claim_is_the_highest_number(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert run.attempts() == 0
    for name in ("claim.9", "claim.10", ".claim.11.0123abcd", "claim.x", "checkpoint.2.pt", ".checkpoint.3.pt.0a"):
        (tmp_path / name).touch()
    assert run.attempts() == 10
    assert run.checkpoints() == [2]


def test_plain_names_lead_to_one_attempt(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for attempt in (1, 2):
        run.metrics(attempt).write_text(str(attempt))
        run.link(attempt)
        assert (tmp_path / "metrics.csv").read_text() == str(attempt)
        assert os.readlink(tmp_path / "best.safetensors") == f"best.{attempt}.safetensors"
    run.settle(1)
    assert os.path.samefile(tmp_path / "metrics.csv", run.metrics(1))
    assert not (tmp_path / "metrics.csv").is_symlink()
    assert not os.path.lexists(tmp_path / "best.safetensors")  # this attempt had none
    assert not list(tmp_path.glob(".*"))


def test_what_was_left_aside_is_removed_when_nobody_writes_it_any_more(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for name in (".run.json.0123abcd", ".clock.0123abcd", ".claim.3.0123abcd"):
        (tmp_path / name).touch()
    os.utime(tmp_path / ".clock.0123abcd", (0, 0))
    run.remove_asides(before=3)
    assert sorted(os.listdir(tmp_path)) == [".claim.3.0123abcd", ".run.json.0123abcd"]


def test_a_sweep_is_its_runs_and_a_run_is_a_sweep_of_one(tmp_path: Path) -> None:
    for name in ("b", "a"):
        path = tmp_path / "runs" / name
        path.mkdir(parents=True)
        write_json(RunDirectory(path).record, RECORD.to_json())
    (tmp_path / "runs" / ".being-planned").mkdir()
    assert [run.path.name for run in runs_of(tmp_path)] == ["a", "b"]
    assert [run.path for run in runs_of(tmp_path / "runs" / "a")] == [tmp_path / "runs" / "a"]
    for path in (tmp_path / "runs", tmp_path / "nothing"):
        with pytest.raises(BadInput, match="not a sweep directory"):
            runs_of(path)


def test_a_link_is_a_run_that_cannot_be_read_wherever_it_leads(tmp_path: Path) -> None:
    write_json(tmp_path / "there", RECORD.to_json())
    (tmp_path / "runs").mkdir()
    for name, leads_to in (("circle", "circle"), ("file", "../there"), ("nothing", "../nothing")):
        (tmp_path / "runs" / name).symlink_to(leads_to)
    (tmp_path / "runs" / "notes.txt").write_text("a file is no run")
    assert [run.path.name for run in runs_of(tmp_path)] == ["circle", "file", "nothing"]
    for run in runs_of(tmp_path):
        with pytest.raises(Unreadable, match="symbolic link"):
            run.read_record()


def test_yaml_reads_back_what_it_was(tmp_path: Path) -> None:
    value = {"lr": 1.0e-4, "name": "1e3", "none": None, "yes": "yes", "list": [1, 2.5, "τ"], "nested": {"a": True}}
    path = tmp_path / "file.yaml"
    path.write_text(to_yaml(value))
    assert read_yaml(path) == value
