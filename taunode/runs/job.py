"""A batch job of Slurm, as its own processes see it: the environment, its standard error, its memory; and the queue.

A job's states in Slurm's own accounting are not used: many clusters have none, and a requeued job has several.
slurmstepd writes into the standard error of a task why it ends it, before it sends the first signal.
"""

import os
import re
import signal
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taunode.runs.files import Unreadable, read_bytes

PATIENCE = 1.0  # seconds for slurmstepd's words to reach the file after its signal has reached us
CAUSES = (  # what stands behind "JOB 12 ON node CANCELLED AT <time>", the state it means, and our words for it
    ("DUE TO TIME LIMIT", "timeout", "the time limit"),
    ("DUE TO PREEMPTION", "preempted", "preempted by Slurm"),
    ("DUE TO JOB REQUEUE", "planned", "requeued by Slurm"),
    ("DUE TO NODE FAILURE", "planned", "its node failed"),
    ("", "cancelled", "cancelled with scancel"),
)
NO_MEMORY = re.compile(r"oom[-_]kill|exceeded memory limit|Out Of Memory", re.IGNORECASE)


def job_here(environment: Mapping[str, str] = os.environ) -> dict[str, Any] | None:
    """The job this process is part of; None outside of Slurm.

    `id`: its raw number; `job`: as squeue prints it; `name`; `restart`: how often it was requeued; `errors`: the file
    that standard error goes to, and `offset`: its size now; `user` and `cluster`: whose, and where.
    """
    job = environment.get("SLURM_JOB_ID")
    if job is None or "SLURM_STEP_ID" not in environment:  # a shell in an allocation is no task
        return None
    shown = job
    if "SLURM_ARRAY_TASK_ID" in environment:
        shown = f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    errors, offset = None, 0
    try:
        path = os.readlink("/proc/self/fd/2")
        if os.path.isfile(path):
            errors, offset = path, os.path.getsize(path)
    except OSError:
        pass  # not Linux, or no such file any more
    return {
        "id": job,
        "job": shown,
        "name": environment.get("SLURM_JOB_NAME", ""),
        "restart": int(environment.get("SLURM_RESTART_COUNT", "0")),
        "errors": errors,
        "offset": offset,
        "user": environment.get("SLURM_JOB_USER"),
        "cluster": environment.get("SLURM_CLUSTER_NAME"),
    }


def was_restarted(job: Mapping[str, Any]) -> bool:
    """Whether this process is part of a later start of the same job, so that the earlier one has ended."""
    here = job_here()
    return here is not None and here["id"] == job["id"] and here["restart"] > job["restart"]


def ending(job: Mapping[str, Any]) -> tuple[str, str] | None:
    """Why Slurm ended a job, as its standard error says: a state, and our words for it; None where it says nothing."""
    if job["errors"] is None:
        return None
    try:
        written = read_bytes(Path(job["errors"]), offset=job["offset"])
    except Unreadable:
        return None
    return read_ending(written.decode(errors="replace"), job["id"])


def read_ending(text: str, job: str) -> tuple[str, str] | None:
    """`ending` of the text that slurmstepd and srun wrote for a job."""
    if NO_MEMORY.search(text):
        return "out_of_memory", "killed by Slurm for its memory"
    cancelled = re.search(rf"(?:JOB|STEP) {re.escape(job)}\b.*CANCELLED AT \S+(.*)", text)
    if cancelled is None:
        return None
    return next((state, words) for words_of_slurm, state, words in CAUSES if words_of_slurm in cancelled[1])


def why_stopped(job: Mapping[str, Any] | None, received: Collection[int]) -> dict[str, str]:
    """The state and the end of an attempt that stopped because of these signals; empty where Slurm did not send them.

    SIGUSR2 comes before the time limit. SIGTERM has several causes, which slurmstepd writes down.
    """
    if job is None or signal.SIGINT in received:
        return {}
    until = time.monotonic() + PATIENCE
    while signal.SIGTERM in received:
        if (found := ending(job)) is not None:
            return dict(zip(("state", "end"), found, strict=True))
        if time.monotonic() > until:
            return {}
        time.sleep(0.02)
    return {"state": "timeout", "end": "stopped before the time limit"} if signal.SIGUSR2 in received else {}


def memory_kills(cgroups: str = "/proc/self/cgroup", root: str = "/sys/fs/cgroup") -> int:
    """How many processes of this control group the kernel has killed for its memory limit; 0 where it cannot say."""
    try:
        lines = Path(cgroups).read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        _, controllers, path = line.split(":", 2)
        file = f"memory{path}/memory.oom_control" if "memory" in controllers.split(",") else f"{path}/memory.events"
        try:
            text = Path(f"{root}/{file}").read_text()
        except OSError:
            continue
        found = re.search(r"^oom_kill (\d+)$", text, re.MULTILINE)
        if found:
            return int(found[1])
    return 0


@dataclass(frozen=True)
class Queue:
    """What squeue has answered.

    Attributes:
        asked: when, in seconds since 1970.
        cluster: of which cluster; null where that cannot be found out.
        users: whose jobs it shows.
        working: the raw numbers of the tasks at work → when their time is over, in seconds since 1970 (None: never).
        submissions: those of the sweep that have tasks in the queue or at work → the numbers of these jobs.
    """

    asked: float
    cluster: str | None
    users: frozenset[str]
    working: Mapping[str, float | None]
    submissions: Mapping[str, frozenset[str]]

    def lacks(self, job: Mapping[str, Any], since: float) -> bool:
        """Whether a job that `job_here` described is no more at work; `since` when it is known to have been.

        An answer that is older than that says nothing, nor does one about another cluster or other people's jobs.
        """
        same = job.get("cluster") in (None, self.cluster) and job.get("user") in self.users
        return same and self.asked > since and job["id"] not in self.working
