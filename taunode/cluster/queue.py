"""Ask Slurm's programs about jobs, and end them: squeue, scontrol, scancel."""

import functools
import os
import pwd
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from taunode.errors import BadInput
from taunode.runs.job import Queue

FIELDS = "%A|%F|%T|%e|%j|%o|%k"  # number, array's number, state, end, name, script, comment
MARK = re.compile(r"taunode=([A-Za-z0-9._+-]+)")  # in a job's comment: the submission that it belongs to


def user() -> str:
    """Who this process belongs to."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


@functools.cache
def cluster_name() -> str | None:
    """What the cluster is called here; None where scontrol does not answer."""
    found = re.search(r"^ClusterName\s*=\s*(\S+)", _output("scontrol", "show", "config"), re.MULTILINE)
    return found[1] if found else None


def ask_queue(scripts: Path, names: Iterable[str]) -> Queue | None:
    """Ask squeue for this user's jobs of a sweep; None where it does not answer, or there is none here.

    A job is of the sweep if its batch script lies in the sweep, and its comment (or its name) is a submission's:
    what a file says of a job is not enough to believe that it is ours.

    Args:
        scripts: the directory of the sweep's batch scripts.
        names: of its submissions.
    """
    asked, me, known, folder = time.time(), user(), frozenset(names), os.path.realpath(scripts)
    command = ["squeue", "--noheader", f"--user={me}", f"--format={FIELDS}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    working: dict[str, float | None] = {}
    jobs: dict[str, set[str]] = defaultdict(set)
    for line in done.stdout.splitlines():
        number, array, state, end, rest = [*line.split("|", 4), "", "", "", ""][:5]
        name, _, rest = rest.partition("|")
        script, _, comment = rest.partition("|")
        marked = MARK.search(comment)
        submission = marked[1] if marked else name
        if submission not in known or os.path.realpath(os.path.dirname(script)) != folder:
            continue
        if number.isdecimal() and array.isdecimal():
            jobs[submission].add(array)
            if state != "PENDING":
                working[number] = _seconds(end)
    submissions = {name: frozenset(arrays) for name, arrays in jobs.items()}
    return Queue(asked, cluster_name(), frozenset({me}), working, submissions)


def _seconds(time_: str) -> float | None:
    try:
        return datetime.fromisoformat(time_).timestamp()
    except ValueError:
        return None  # N/A, UNLIMITED


def _output(*command: str) -> str:
    """What a program prints; empty where there is none, or it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""


def end_time(job: str) -> float | None:
    """When a job's time is over, in seconds since 1970; None where that is never, or not known."""
    words = _output("scontrol", "show", "job", "--oneliner", job).split()
    return _seconds(dict(word.split("=", 1) for word in words if "=" in word).get("EndTime", ""))


def max_array_size() -> int | None:
    """The highest number of tasks in an array."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", _output("scontrol", "show", "config"))
    return int(found[1]) if found else None


def free_submissions(limit: int | None, account: str | None) -> int | None:
    """How many tasks this user may still submit; None where no limit is known.

    Args:
        limit: as the user said it; null for what Slurm's accounting says of the account.
    """
    if limit is None:
        text = _output("sacctmgr", "-nP", "show", "assoc", f"user={user()}", "format=account,maxsubmitjobs")
        rows = [line.split("|") for line in text.splitlines()]
        limits = [int(most) for name, most in rows if most.isdigit() and account in (None, name)]
        limit = min(limits, default=None)
    if limit is None:
        return None
    return max(0, limit - len(_output("squeue", "--noheader", "--array", f"--user={user()}", "--format=%A").split()))


def requeue(job: str) -> bool:
    """Ask Slurm to start a job again; whether it will."""
    return subprocess.run(["scontrol", "requeue", job], check=False).returncode == 0


def scancel(jobs: Sequence[str]) -> None:
    """Cancel jobs by their numbers.

    Raises:
        BadInput: scancel does not accept them, in its words.
    """
    if jobs:
        done = subprocess.run(["scancel", *jobs], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BadInput(f"scancel: {' '.join(done.stderr.split())}")
