"""`runtime`: how runs are executed on a machine. It does not change the mathematics and is not part of a run."""

import functools
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from taunode.build import checked
from taunode.errors import BadInput
from taunode.paths import expanded
from taunode.runs.job import job_here
from taunode.runs.record import LONGEST_LEASE, Attempt, Bits

BITS = tuple(Bits.__annotations__)  # what changes rounding: kept from attempt 1 when a run goes on


def processors() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Runtime:
    """The keys of conf/runtime; see there for what each means.

    Raises:
        BadInput: a value out of its range.
    """

    device: str
    threads: int | None
    compile: bool | Literal["auto", "reduce-overhead"]
    channels_last: bool | Literal["auto"]
    data_root: str
    cache_dir: str
    checkpoint_seconds: float
    lease_seconds: float
    keep_checkpoint: bool
    loader_workers: int | None = None  # from here on: keys that the records of older releases lack
    grace_seconds: float | None = None
    probes: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise BadInput(f"runtime.threads must be at least 1, or null for all processors, got {self.threads}")
        if self.loader_workers is not None and self.loader_workers < 0:
            raise BadInput(
                "runtime.loader_workers must be at least 0, or null for the processors shared out, "
                f"got {self.loader_workers}"
            )
        if self.probes is not None and self.probes < 1:
            raise BadInput(f"runtime.probes must be at least 1 step, or null for none, got {self.probes}")
        for name in ("checkpoint_seconds", "lease_seconds", "grace_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise BadInput(f"runtime.{name} must be above 0, got {value}")
        if self.lease_seconds > LONGEST_LEASE:
            raise BadInput(
                f"runtime.lease_seconds must be at most {LONGEST_LEASE:.0f} (a week), got {self.lease_seconds}"
            )
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise BadInput(f"runtime.device must be auto, cpu, cuda or cuda:<number>, got {self.device!r}")

    @classmethod
    def from_config(cls, values: dict[str, Any], directory: Path) -> "Runtime":
        """Checked, with paths made absolute against `directory`."""
        return _checked(json.dumps(values), directory)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def resolved(self) -> "Runtime":
        """With threads as a number: the record of an attempt says what its rounding depends on."""
        return replace(self.sharing(1), threads=self.threads or processors())

    def sharing(self, processes: int) -> "Runtime":
        """As one of `processes` that use this machine at once: how many loader workers it has."""
        if self.loader_workers is not None:
            return self
        return replace(self, loader_workers=max(1, processors() // processes))

    def grace(self) -> float:
        """Seconds that a run has to save itself when it is told to stop; Slurm itself gives 30."""
        return self.grace_seconds or (20.0 if job_here() else 120.0)

    def keeping_bits(self, attempts: Sequence[Attempt]) -> "Runtime":
        """These settings, with what changes rounding taken over from the first attempt that executed anything.

        Where that did not record it, nothing was compiled or in another memory format.
        """
        if not attempts:
            return self
        first = next((attempt["runtime"] for attempt in attempts if "runtime" in attempt), {})
        recorded = {name: first[name] for name in BITS if name in first}
        return replace(self, **({"compile": False, "channels_last": False} | recorded))


@functools.lru_cache(maxsize=1024)  # the runs of a sweep have the same
def _checked(values: str, directory: Path) -> Runtime:
    runtime = Runtime(**checked(Runtime, json.loads(values), "runtime"))
    return replace(
        runtime,
        data_root=str(directory / expanded(runtime.data_root, "runtime.data_root")),
        cache_dir=str(directory / expanded(runtime.cache_dir, "runtime.cache_dir")),
    )
