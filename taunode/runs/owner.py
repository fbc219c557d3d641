"""The owner of a claim: who it is, and how another process on the same machine proves that it is gone."""

import os
import time
from pathlib import Path
from typing import Any

from taunode.runs.job import job_here, was_restarted


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
