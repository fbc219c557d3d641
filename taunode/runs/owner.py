"""The owner of a claim: who it is, and how another process on the same machine proves that it is gone."""

import os
import time
from collections.abc import Mapping
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
    """The start time of a process in clock ticks since boot; None when it has ended, even if nobody has reaped it.

    Raises:
        PermissionError: there is one, of somebody else, and this process may not see since when.
    """
    stat = _read(f"/proc/{pid}/stat")
    if stat is None:
        try:
            os.kill(pid, 0)  # where /proc hides the processes of others (hidepid), this does not
        except ProcessLookupError:
            return None
        except OverflowError:
            return None
        raise PermissionError(pid)
    fields = stat.rpartition(")")[2].split()  # from field 3 on; the name may hold spaces
    return None if fields[0] in "ZX" else fields[19]


def is_gone(owner: Mapping[str, Any], silent: float) -> bool:
    """Whether the process that `identity()` described has provably ended: same machine, and not there any more; or
    this process belongs to a later start of the same job.

    `silent`: seconds since its last heartbeat.
    """
    if owner["slurm"] is not None and was_restarted(owner["slurm"]):
        return True
    if owner["boot"] is None or owner["host"] != os.uname().nodename:
        return False
    if owner["boot"] != _read("/proc/sys/kernel/random/boot_id"):
        # Another boot of this machine, unless it was heard of since: then it is another machine of the same name.
        return silent > time.clock_gettime(time.CLOCK_BOOTTIME)
    return owner["namespace"] is not None and owner["namespace"] == _namespace() and not is_alive(owner)


def is_alive(owner: Mapping[str, Any]) -> bool:
    """Whether a process of this machine is still there; true where that cannot be seen."""
    try:
        return bool(_started(owner["pid"]) == owner["started"])
    except PermissionError:
        return True


def is_here(owner: Mapping[str, Any]) -> bool:
    """Whether this machine (and container) is the owner's, and its process is at work there."""
    same = owner["boot"] is not None and owner["boot"] == _read("/proc/sys/kernel/random/boot_id")
    return same and owner["namespace"] == _namespace() and is_alive(owner)
