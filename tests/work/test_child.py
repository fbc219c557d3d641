"""The child of a worker: what it says through its pipe when it cannot even begin."""

import json
import os
from pathlib import Path

import pytest

from taunode.runs.directory import RunDirectory
from taunode.work.child import start_child


def test_a_run_that_is_removed_before_its_log_is_open(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = RunDirectory(tmp_path / "removed")
    child, reading = start_child(lambda stop, log, screen: {"state": "done"}, run, 1, [], None)
    _, status = os.waitpid(child, 0)
    told = json.loads(os.read(reading, 65536))
    os.close(reading)
    assert status == 0
    assert told == {"state": "failed", "end": f"cannot begin: No such file or directory: {run.log(1)}"}
    assert capfd.readouterr().err == ""
