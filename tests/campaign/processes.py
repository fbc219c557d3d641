"""The processes of a command, as /proc shows them: itself, its workers, and the runs that they execute."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TARGETS = ("command", "worker", "run", "all")


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int


def of_session(leader: int) -> list[Process]:
    """All processes of a session that have not ended."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()  # state, parent, group, session
                if int(fields[3]) == leader and fields[0] not in "ZX":
                    found.append(Process(int(entry.name), int(fields[1])))
    return found


def targets(leader: int, target: str) -> list[int]:
    """The process ids of a kind; a worker whose command has gone is one still."""
    found = of_session(leader)
    if target == "all":
        return [one.pid for one in found]
    if target == "command":
        return [one.pid for one in found if one.pid == leader]
    members = {one.pid for one in found}
    workers = [one.pid for one in found if one.pid != leader and (one.parent == leader or one.parent not in members)]
    return workers if target == "worker" else [one.pid for one in found if one.pid not in {leader, *workers}]


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Sleepers:
    """Processes that were stopped, and when they go on."""

    def __init__(self) -> None:
        self._asleep: list[tuple[float, list[int]]] = []

    def stop(self, pids: list[int], seconds: float) -> None:
        send(pids, signal.SIGSTOP)
        self._asleep.append((time.monotonic() + seconds, pids))

    def wake(self, everybody: bool = False) -> None:
        due = [one for one in self._asleep if everybody or one[0] < time.monotonic()]
        self._asleep = [one for one in self._asleep if one not in due]
        for _, pids in due:
            send(pids, signal.SIGCONT)
