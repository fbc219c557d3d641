"""Ask Slurm's programs about jobs, and end them: squeue, scontrol, scancel."""

import subprocess
from collections.abc import Iterable
from datetime import datetime

from taunode.errors import BadInput
from taunode.runs.job import Queue


def queue(names: Iterable[str]) -> Queue | None:
    """Ask squeue for the jobs with these names; None where it does not answer, or there is none here."""
    asked = frozenset(names)
    if not asked:
        return Queue(asked, asked, {})
    try:
        done = subprocess.run(
            ["squeue", "--noheader", f"--name={','.join(sorted(asked))}", "--format=%A|%T|%e|%j"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.split("|", 3) for line in done.stdout.splitlines()]
    working = {job: _seconds(end) for job, state, end, _ in rows if state != "PENDING"}
    return Queue(asked, frozenset(name for *_, name in rows), working)


def _seconds(time_: str) -> float | None:
    try:
        return datetime.fromisoformat(time_).timestamp()
    except ValueError:
        return None  # N/A, UNLIMITED


def show(job: str) -> dict[str, str]:
    """What `scontrol show job` prints of a job; empty where it does not answer."""
    try:
        done = subprocess.run(
            ["scontrol", "show", "job", "--oneliner", job], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(word.split("=", 1) for word in done.stdout.split() if "=" in word)


def end_time(job: str) -> float | None:
    """When a job's time is over, in seconds since 1970; None where that is never, or not known."""
    return _seconds(show(job).get("EndTime", ""))


def scancel(arguments: list[str], one_by_one: bool = False) -> None:
    """Call scancel with these arguments, together or each by itself.

    Raises:
        BadInput: it does not accept them, in its words.
    """
    for part in [[argument] for argument in arguments] if one_by_one else [arguments] if arguments else []:
        done = subprocess.run(["scancel", *part], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BadInput(f"scancel: {' '.join(done.stderr.split())}")
