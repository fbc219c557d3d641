"""A planned run of two epochs, and one that is long enough to be interrupted; each test has its own copy."""

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import plan

from taunode.plan import inspect
from taunode.runs.directory import RunDirectory

# What commands remember of their user, and the slots that they share: not this user's own.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="taunode-tests-")

# Behind a shell's `&` Ctrl-C is ignored, and would be by the commands that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """A worker that a failed test left stopped would keep the whole session waiting."""
    yield
    for process in multiprocessing.active_children():
        process.kill()
        process.join()
    inspect._process.cache_clear()  # it was one of them


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plan(tmp_path_factory.mktemp("planned"))[0].path.parents[1]


@pytest.fixture(scope="session")
def planned_long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plan(tmp_path_factory.mktemp("planned"), "schedule.epochs=60")[0].path.parents[1]


def _copy(sweep: Path, to: Path) -> RunDirectory:
    shutil.copytree(sweep, to)
    (path,) = (to / "runs").iterdir()
    return RunDirectory(path)


@pytest.fixture
def run(planned: Path, tmp_path: Path) -> RunDirectory:
    return _copy(planned, tmp_path / "sweep")


@pytest.fixture
def long_run(planned_long: Path, tmp_path: Path) -> RunDirectory:
    return _copy(planned_long, tmp_path / "long")
