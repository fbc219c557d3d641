"""`runtime`: checked, absolute, and what changes rounding stays as the first attempt had it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from harness import runtime

from taunode.errors import BadInput
from taunode.runs.runtime import Runtime


def test_paths_are_absolute_against_the_launching_directory(tmp_path: Path) -> None:
    values = {**runtime().to_json(), "data_root": "data", "cache_dir": "~/cache"}
    found = Runtime.from_config(values, tmp_path)
    assert found.data_root == str(tmp_path / "data")
    assert found.cache_dir == str(Path("~/cache").expanduser())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threads", 0),
        ("threads", 1.5),
        ("loader_workers", -1),
        ("checkpoint_seconds", 0.0),
        ("lease_seconds", -1.0),
        ("lease_seconds", float("nan")),
        ("device", "gpu"),
        ("compile", 1),
        ("compile", "fast"),
        ("channels_last", "no"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_key(key: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"runtime\.{key} must be .*{value!r}"):
        Runtime.from_config({**runtime().to_json(), key: value}, tmp_path)


def test_what_changes_rounding_is_taken_over_from_the_first_attempt() -> None:
    first = {"runtime": runtime(threads=3, compile=True).to_json()}
    asked = runtime(threads=1, channels_last=True, checkpoint_seconds=7.0)
    assert asked.keeping_bits([]) == asked
    assert asked.keeping_bits([first, {"runtime": asked.to_json()}]) == replace(
        asked, threads=3, compile=True, channels_last=False
    )


def test_threads_of_null_are_all_that_this_process_may_use() -> None:
    assert runtime(threads=None).resolved() == runtime(threads=len(os.sched_getaffinity(0)))
    assert runtime(threads=5).resolved() == runtime(threads=5)


@pytest.mark.parametrize(("processes", "each"), [(1, 6), (2, 3), (4, 1), (9, 1)])
def test_loader_workers_of_null_are_the_processors_shared_out(
    processes: int, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taunode.runs.runtime.processors", lambda: 6)
    assert runtime(loader_workers=None).sharing(processes) == runtime(loader_workers=each)
    assert runtime(loader_workers=None).resolved() == runtime(loader_workers=6)
    for asked in (0, 5):
        assert runtime(loader_workers=asked).sharing(processes) == runtime(loader_workers=asked)
