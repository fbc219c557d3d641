"""The state of a run: one pure function of what its directory (and a queue, if there is one) shows.

Stored by a worker: planned, running, done, diverged, failed, out_of_memory, timeout, preempted, cancelled.
Derived here: queued (planned, and waiting in Slurm), stalled (the owner's heartbeat is older than the lease, but
nothing proves that it is dead). A running run whose owner is provably gone is planned again, or in the state that
Slurm has written down when it ended the owner's job.
"""

import contextlib
import json
import os
import re
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from taunode.runs.directory import Record, RunDirectory
from taunode.runs.slurm import Queue, ending, job_here, was_restarted


class State(StrEnum):
    PLANNED = "planned"
    QUEUED = "queued"
    RUNNING = "running"
    STALLED = "stalled"
    PREEMPTED = "preempted"
    TIMEOUT = "timeout"
    DONE = "done"
    DIVERGED = "diverged"
    FAILED = "failed"
    OUT_OF_MEMORY = "out_of_memory"
    CANCELLED = "cancelled"


RESULTS = frozenset({State.DONE, State.DIVERGED})  # divergence is a result; nothing retries it
GOES_ON = frozenset({State.PLANNED, State.PREEMPTED, State.QUEUED, State.STALLED})  # whoever comes may take it
BROKEN = frozenset({State.FAILED, State.OUT_OF_MEMORY, State.CANCELLED, State.TIMEOUT})  # `resume` goes on
SIGNALS_IN_A_ROW = 3  # attempts killed by a signal without progress, until a run counts as failed


def identity() -> dict[str, Any]:
    """Who this process is, so that another one on the same host can prove that it is gone."""
    return {
        "host": os.uname().nodename,
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        "namespace": _namespace(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "slurm": job_here(),
    }


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None  # not Linux: death cannot be proven, only the lease ends a claim


def _namespace() -> str | None:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """The start time of a process in clock ticks since boot; None when it has ended, even if nobody has reaped it."""
    stat = _read(f"/proc/{pid}/stat")
    fields = stat.rpartition(")")[2].split() if stat else ["X"]  # from field 3 on; the name may hold spaces
    return None if fields[0] in "ZX" else fields[19]


def is_gone(owner: dict[str, Any], silent: float) -> bool:
    """Whether the process that `identity()` described has provably ended: same machine, and not there any more; or
    this process belongs to a later start of the same job.

    `silent`: seconds since its last heartbeat.
    """
    if owner.get("slurm") is not None and was_restarted(owner["slurm"]):
        return True
    if owner.get("boot") is None or owner.get("host") != os.uname().nodename:
        return False
    if owner["boot"] != _read("/proc/sys/kernel/random/boot_id"):
        # Another boot of this machine, unless it was heard of since: then it is another machine of the same name.
        return silent > time.clock_gettime(time.CLOCK_BOOTTIME)
    return bool(owner["namespace"] == _namespace() and _started(owner["pid"]) != owner["started"])


@dataclass(frozen=True)
class Observation:
    """What a run directory shows.

    Attributes:
        attempts: number of the newest claim, 0 for none.
        attempt: that attempt's record: its claim, or run.json's copy once the attempt has ended.
        silent: seconds since the owner's last heartbeat.
        gone: the owner is provably dead.
        done: state and summary of the attempt whose files are the run's, if there is one.
        told: the state that Slurm has written down for an attempt that could not record its own end.
    """

    attempts: int = 0
    attempt: dict[str, Any] | None = None
    silent: float = 0.0
    gone: bool = False
    done: dict[str, Any] | None = None
    told: State | None = None


def derive(seen: Observation, queued: bool = False) -> State:
    """The state of a run."""
    if seen.done is not None:
        return State(seen.done["state"])
    if seen.attempt is None:
        state = State.PLANNED
    elif "state" in seen.attempt:
        state = State(seen.attempt["state"])
        if state in RESULTS:  # without `done` it is no result any more: the run is to be done again
            state = State.PLANNED
    elif not seen.gone and seen.silent <= seen.attempt["lease"]:
        return State.RUNNING
    elif seen.told is not None:
        state = seen.told
    elif seen.gone:
        state = State.PLANNED
    else:
        return State.STALLED
    return State.QUEUED if queued and state in GOES_ON else state


def may_start(state: State, attempt: dict[str, Any] | None) -> bool:
    """Whether the same command, or any worker, goes on with a run in this state without being told."""
    if state is State.TIMEOUT:
        return bool(attempt and attempt.get("progressed"))
    return state in GOES_ON


def observe(run: RunDirectory, record: Record, now: float | None = None, queue: Queue | None = None) -> Observation:
    """Look at a run's claims; other files than run.json are opened only where that is not up to date.

    Args:
        now: the file server's clock (the mtime of a file just touched there); this host's clock by default.
        queue: of the sweep's jobs, where somebody has asked Slurm.
    """
    names = set(os.listdir(run.path))
    attempts = max((int(m[1]) for n in names if (m := re.fullmatch(r"claim\.(\d+)", n))), default=0)
    known = {attempt["attempt"]: attempt for attempt in record.attempts}
    done = None
    if run.done.name in names:
        settled = record.state in RESULTS and record.summary
        done = {"state": record.state, "summary": record.summary} if settled else json.loads(run.done.read_bytes())
    attempt = known.get(attempts)
    if attempts == 0 or done is not None or (attempt is not None and "state" in attempt):
        return Observation(attempts, attempt, done=done)
    path = run.claim(attempts)
    attempt = json.loads(path.read_bytes())
    silent = (time.time() if now is None else now) - path.stat().st_mtime
    job = attempt["owner"].get("slurm")
    if job is None:
        return Observation(attempts, attempt, silent, is_gone(attempt["owner"], silent))
    gone = is_gone(attempt["owner"], silent) or (queue is not None and queue.lacks(job))
    told = None
    if (found := ending(job)) is not None:
        told = State(found[0])
        attempt |= {"end": found[1], "progressed": fingerprint(run) != attempt["checkpoints"]}
    return Observation(attempts, attempt, silent, gone, told=told)


def fingerprint(run: RunDirectory) -> list[list[int]]:
    """Which checkpoints there are: changed if and only if an attempt has made progress that is kept."""
    found = []
    for attempt in run.checkpoints():
        with contextlib.suppress(FileNotFoundError):  # removed by the owner in between
            found.append([attempt, run.checkpoint(attempt).stat().st_mtime_ns])
    return found


def killed_in_a_row(attempts: list[dict[str, Any]], checkpoints: list[list[int]]) -> int:
    """How many of the last attempts a signal ended, all of them starting from the same checkpoints."""
    count = 0
    taken_over = False  # from an owner that was only silent: nothing says that the run killed it
    for attempt in reversed(attempts):
        killed = attempt.get("killed", "state" not in attempt)  # no end written: killed with its worker
        if taken_over or not killed or attempt["checkpoints"] != checkpoints:
            break
        count += 1
        taken_over = "took_over" in attempt
    return count
