"""The child of a worker: what it says through its pipe when it cannot even begin."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest

from taunode.runs.directory import RunDirectory
from taunode.work.child import start_child
from taunode.work.signals import Signals


def test_a_run_that_is_removed_before_its_log_is_open(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = RunDirectory(tmp_path / "removed")
    child, reading = start_child(lambda stop, log, screen: {"state": "done"}, run, 1, [], None)
    _, status = os.waitpid(child, 0)
    told = json.loads(os.read(reading, 65536))
    os.close(reading)
    assert status == 0
    assert told == {"state": "failed", "end": f"cannot begin: No such file or directory: {run.log(1)}"}
    assert capfd.readouterr().err == ""


def test_a_word_to_stop_is_heard_however_early_it_comes(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)

    def execute(stop: Callable[[], bool], log: TextIO, screen: TextIO | None) -> dict[str, bool]:
        until = time.monotonic() + 60
        while not stop() and time.monotonic() < until:
            time.sleep(0.001)
        return {"heard": stop()}

    signals = Signals()
    with signals.installed():
        for attempt in range(1, 30):
            child, reading = start_child(execute, run, attempt, signals.received, None)
            os.kill(child, signal.SIGTERM)
            told = os.read(reading, 65536)
            os.close(reading)
            os.waitpid(child, 0)
            assert json.loads(told) == {"heard": True}
    assert signals.received == []
