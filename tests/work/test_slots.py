"""Commands of one user share the processors of a machine, and nothing that is killed keeps them."""

import os
import signal
import time
from pathlib import Path

import pytest
from harness import start, wait_until

from taunode.work import slots
from taunode.work.slots import Slots


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(slots.tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


def test_as_many_at_a_time_as_there_are():
    first, second, third = (Slots(["a", "b"]) for _ in range(3))
    assert first.try_to_take()
    assert second.try_to_take()
    assert not third.try_to_take()
    first.give_back()
    assert third.try_to_take()


def test_all_that_a_run_needs_or_nothing():
    small, large = Slots(["a", "b", "c"]), Slots(["a", "b", "c"], need=3)
    assert small.try_to_take()
    assert not large.try_to_take()
    assert Slots(["a", "b", "c"], need=2).try_to_take()  # nothing is kept by the one that waits
    greedy = Slots(["d"], need=5)
    assert greedy.try_to_take()  # more than there are: all of them


def _hold(folder: Path) -> None:
    slots.tempfile.gettempdir = lambda: str(folder)
    held = Slots(["a"])
    assert held.try_to_take()
    (folder / "held").touch()
    time.sleep(60)


def test_who_is_killed_keeps_nothing(folder: Path):
    holder = start(_hold, folder)
    wait_until((folder / "held").exists, holder)
    assert not Slots(["a"]).try_to_take()
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert Slots(["a"]).try_to_take()


def test_a_folder_of_somebody_elses_is_not_used(folder: Path):
    """Then there is nothing to share by, and nobody waits."""
    (folder / f"taunode-{os.getuid()}").symlink_to(folder)
    first, second = Slots(["a"]), Slots(["a"])
    assert first.try_to_take()
    assert second.try_to_take()
