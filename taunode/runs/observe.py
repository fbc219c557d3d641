"""What a run directory shows: its record, its claims and heartbeat, and the state that follows."""

import contextlib
import json
import os
import re
import time
import uuid
from typing import Any

from taunode.runs.directory import Record, RunDirectory
from taunode.runs.job import Queue, ending
from taunode.runs.owner import is_gone
from taunode.runs.state import RESULTS, Observation, State, derive


def server_time(run: RunDirectory) -> float:
    """The file server's clock, which is not this host's."""
    touched = run.path / f".clock.{uuid.uuid4().hex[:8]}"
    touched.touch()
    try:
        return touched.stat().st_mtime
    finally:
        touched.unlink()


def look(run: RunDirectory, queue: Queue | None = None, queued: bool = False) -> tuple[Record, Observation, State]:
    """A run's record, what its directory shows, and the state that follows.

    Args:
        queue: of the sweep's jobs, where somebody has asked Slurm.
        queued: a job that waits or works has been submitted for the run.
    """
    record = run.read_record()
    seen = observe(run, record, queue=queue)
    if derive(seen) in (State.RUNNING, State.STALLED):
        with contextlib.suppress(OSError):  # who may only read has no better clock than this host's
            seen = observe(run, record, server_time(run), queue)
    return record, seen, derive(seen, queued)


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


def earlier_attempts(run: RunDirectory, record: Record, attempts: int) -> list[dict[str, Any]]:
    """The records of attempts 1 … `attempts`: from run.json, or from the claims where it is behind."""
    known = {attempt["attempt"]: attempt for attempt in record.attempts if "state" in attempt}
    return [known.get(number) or json.loads(run.claim(number).read_bytes()) for number in range(1, attempts + 1)]
