"""What a run directory shows: its record, its claims and heartbeat, and the state that follows. Writes nothing."""

import contextlib
import os
import re
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from taunode.runs.directory import NUMBER, RunDirectory
from taunode.runs.files import Missing, Unreadable
from taunode.runs.job import Queue, ending
from taunode.runs.owner import is_gone
from taunode.runs.record import Attempt, Record
from taunode.runs.state import RESULTS, Observation, State, derive

_claim = re.compile(rf"claim\.{NUMBER}")


def look(
    run: RunDirectory,
    queue: Queue | None = None,
    retried: Collection[int] | None = None,
    now: float | None = None,
) -> tuple[Record, Observation, State]:
    """A run's record, what its directory shows, and the state that follows.

    Args:
        queue: of the sweep's jobs, where somebody has asked Slurm.
        retried: a job that waits or works has been submitted for the run; see `derive`.
        now: the file server's clock; this host's by default, which is good enough to look at a run, not to take it.

    Raises:
        Unreadable: a record of it is not what it should be.
    """
    record = run.read_record()
    seen = observe(run, record, now, queue)
    return record, seen, derive(seen, retried)


def observe(
    run: RunDirectory,
    record: Record,
    now: float | None = None,
    queue: Queue | None = None,
    names: Collection[str] | None = None,
) -> Observation:
    """Look at a run's claims; other files than run.json are opened only where that is not up to date.

    Args:
        names: what lies in the directory, where that has just been listed.
    """
    try:
        names = os.listdir(run.place) if names is None else names
    except OSError as error:
        raise Unreadable(run.place, error.strerror or "cannot be read") from None
    attempts = max((int(name[6:]) for name in names if name[0] == "c" and _claim.fullmatch(name)), default=0)
    known = {attempt["attempt"]: attempt for attempt in record.attempts}
    done: Mapping[str, Any] | None = None
    if "done" in names:
        settled = record.state in RESULTS and record.summary
        done = {"state": record.state, "summary": record.summary} if settled else run.read_done()
    attempt = known.get(attempts)
    if attempts == 0 or done is not None or (attempt is not None and "state" in attempt):
        return Observation(attempts, attempt, done=done)
    try:
        attempt = run.read_claim(attempts)
        beaten = run.claim(attempts).lstat().st_mtime
    except (Missing, FileNotFoundError):  # removed while we looked; so is the run, most likely
        raise Unreadable(run.claim(attempts), "has just gone") from None
    silent = abs((time.time() if now is None else now) - beaten)  # a heartbeat of next year is none of now
    gone = is_gone(attempt["owner"], silent)
    cancelled = f"cancel.{attempts}" in names
    job = attempt["owner"]["slurm"]
    if job is None or "state" in attempt:
        return Observation(attempts, attempt, silent, gone, cancelled=cancelled)
    unemployed = queue is not None and queue.lacks(job, _seconds(attempt["started"]))
    told = None
    if _is_of_the_sweep(job["errors"], run) and (found := ending(job)) is not None:
        told = State(found[0])
        attempt["end"], attempt["progressed"] = found[1], fingerprint(run) != attempt["checkpoints"]
    return Observation(attempts, attempt, silent, gone, unemployed, told=told, cancelled=cancelled)


def _seconds(time_: str) -> float:
    try:
        return datetime.fromisoformat(time_).timestamp()
    except ValueError:
        return float("inf")  # then no answer of squeue's is newer


def _is_of_the_sweep(errors: str | None, run: RunDirectory) -> bool:
    """Whether a task's standard error is where a sweep keeps them: a claim says nothing about other files."""
    return errors is not None and Path(errors).parent == run.path.resolve().parents[1] / "slurm"


def fingerprint(run: RunDirectory) -> list[list[int]]:
    """Which checkpoints there are: changed if and only if an attempt has made progress that is kept."""
    found = []
    for attempt in run.checkpoints():
        with contextlib.suppress(FileNotFoundError):  # removed by the owner in between
            found.append([attempt, run.checkpoint(attempt).lstat().st_mtime_ns])
    return found


def earlier_attempts(run: RunDirectory, record: Record, attempts: int) -> list[Attempt]:
    """The records of attempts 1 … `attempts`: from run.json, or from the claims where it is behind."""
    known = {attempt["attempt"]: attempt for attempt in record.attempts if "state" in attempt}
    return [known.get(number) or run.read_claim(number) for number in range(1, attempts + 1)]
