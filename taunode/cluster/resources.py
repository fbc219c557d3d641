"""What runs are given by Slurm: the launcher's options, and the entries of `resources` that a run meets."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from taunode.build import checked
from taunode.errors import BadInput, nearest
from taunode.runs.where import Where

UNITS = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


def seconds(time: int | str) -> int:
    """A time limit, as sbatch reads it: minutes, minutes:seconds, hours:minutes:seconds, days-hours:minutes:seconds."""
    days, dash, rest = str(time).rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    units = (3600, 60, 1) if dash or len(parts) == 3 else (60, 1)
    return int(days or 0) * 86400 + sum(part * unit for part, unit in zip(parts, units, strict=False))


def mebibytes(text: str, key: str) -> int:
    """`4G`, `500M`, `2000` (MiB) as a number, the way sbatch reads it.

    Raises:
        BadInput: it is none of these.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", text.upper())
    if found is None or float(found[1]) == 0:
        raise BadInput(f"{key} must be a size such as 4G or 500M, got {text!r}")
    return max(1, round(float(found[1]) * UNITS[found[2] or "M"]))


@dataclass(frozen=True)
class Resources:
    """What one job gets; the keys of conf/hydra/launcher/slurm.yaml.

    Raises:
        BadInput: a value out of its range.
    """

    time: int | str = 60
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    gpus: int | str | None = None
    cpus: int | None = None
    memory: int | str | None = None
    nodes: int = 1
    tasks: int = 1
    sbatch: dict[str, Any] = field(default_factory=dict)

    def check(self, key: str) -> "Resources":
        for name in ("cpus", "nodes", "tasks"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadInput(f"{key}.{name} must be at least 1, got {value}")
        if not re.fullmatch(r"[1-9]\d*|(\d+-)?\d+(:\d+){1,2}|\d+-\d+", str(self.time)):
            raise BadInput(f"{key}.time must be minutes, or text such as 1-12:00:00, got {self.time!r}")
        if self.memory is not None:
            mebibytes(str(self.memory), f"{key}.memory")
        texts = [getattr(self, name) for name in ("partition", "account", "qos", "constraint", "gres", "gpus")]
        for text in (*texts, *self.sbatch, *self.sbatch.values()):
            if isinstance(text, str) and not text.isprintable():
                raise BadInput(f"{key}: {text!r} is no option of sbatch's: it is not of one line")
        for name in self.sbatch:
            if name.replace("_", "-") in OURS:
                raise BadInput(f"{key}.sbatch.{name}: taunode sets --{name} itself")
        return self

    @property
    def processes(self) -> int:
        return self.nodes * self.tasks

    def with_memory(self, mib: int) -> "Resources":
        return replace(self, memory=f"{mib}M")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


OURS = frozenset({"array", "job-name", "output", "error", "open-mode", "signal", "requeue", "no-requeue"})
KEYS = tuple(item.name for item in fields(Resources))


@dataclass(frozen=True)
class Options:
    """The keys of conf/hydra/launcher/slurm.yaml that are not of one job; see there for what each means."""

    resources: list[dict[str, Any]] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)
    runs_per_task: int = 1
    workers_per_task: int = 1
    array_parallelism: int = 256
    signal_seconds: int = 90
    memory_factor: float = 2.0
    memory_cap: int | str | None = None
    max_array_size: int | None = None
    max_submit_jobs: int | None = None
    wait: bool = False


@dataclass(frozen=True)
class Request:
    """All that a command asks of Slurm.

    Attributes:
        base: what a run gets unless an entry of `resources` says otherwise.
        entries: pairs of a condition and what the runs get that meet it, as keys of `Resources`.
        values: as typed, for the record.
    """

    options: Options
    base: Resources
    entries: list[tuple[Where, dict[str, Any]]]
    values: dict[str, Any]

    @classmethod
    def from_config(cls, values: Mapping[str, Any], key: str = "hydra.launcher") -> "Request":
        """Checked.

        Raises:
            BadInput: an unknown key, a value of another type or out of its range, a condition that is none.
        """
        valid = [*KEYS, *(item.name for item in fields(Options))]
        for name in values:
            if name not in valid:
                raise BadInput(f"unknown key {key}.{name}; nearest: {nearest(name, valid, show=6)}")
        of_jobs = {name: value for name, value in values.items() if name in KEYS and value is not None}
        base = Resources(**checked(Resources, of_jobs, key)).check(key)
        rest = {name: value for name, value in values.items() if name not in KEYS}
        options = Options(**checked(Options, rest, key))
        for name in ("runs_per_task", "workers_per_task", "array_parallelism", "max_array_size", "max_submit_jobs"):
            value = getattr(options, name)
            if value is not None and value < 1:
                raise BadInput(f"{key}.{name} must be at least 1, got {value}")
        if options.signal_seconds < 0:
            raise BadInput(f"{key}.signal_seconds must not be negative, got {options.signal_seconds}")
        if options.memory_factor <= 1:
            raise BadInput(f"{key}.memory_factor must be above 1, got {options.memory_factor}")
        if options.memory_cap is not None:
            mebibytes(str(options.memory_cap), f"{key}.memory_cap")
        entries = [_entry(entry, base, f"{key}.resources[{index}]") for index, entry in enumerate(options.resources)]
        request = cls(options, base, entries, dict(values))
        for resources in (base, *(_changed(base, changes) for _, changes in entries)):
            if seconds(resources.time) <= options.signal_seconds:
                raise BadInput(
                    f"{key}.time={resources.time} leaves nothing before {key}.signal_seconds={options.signal_seconds}, "
                    "when a run is told to save itself"
                )
            if resources.processes > 1 and options.workers_per_task > 1:
                raise BadInput(
                    f"{key}.workers_per_task={options.workers_per_task}, but the {resources.processes} processes of a "
                    "job train each run together: choose one of the two"
                )
        return request

    def of(self, keys: Mapping[str, Any]) -> Resources:
        """What a run with these flattened keys gets: of each key the last entry counts that it meets."""
        resources = self.base
        for condition, changes in self.entries:
            if condition(keys):
                resources = _changed(resources, changes)
        return resources

    def after_out_of_memory(self, resources: Resources, had: int | None) -> Resources | None:
        """What a run gets that ran out of `had` MiB of memory (null: not known): more, or None at the cap."""
        now = None if resources.memory is None else mebibytes(str(resources.memory), "memory")
        had = had or now
        if had is None:
            return resources  # the cluster's default, which nobody has told
        cap = self.options.memory_cap
        most = None if cap is None else mebibytes(str(cap), "memory_cap")
        if most is not None and had >= most:
            return None
        more = max(round(had * self.options.memory_factor), now or 0)
        return resources.with_memory(more if most is None else min(more, most))


def _entry(entry: Mapping[str, Any], base: Resources, key: str) -> tuple[Where, dict[str, Any]]:
    changes = {name: value for name, value in entry.items() if name != "when"}
    if not isinstance(entry.get("when"), str):
        raise BadInput(f"{key}: without `when`, the condition that says which runs it is for")
    _changed(base, checked(Resources, changes, key)).check(key)
    return Where(entry["when"], f"{key}.when"), changes


def _changed(resources: Resources, changes: Mapping[str, Any]) -> Resources:
    both = {"sbatch": resources.sbatch | changes["sbatch"]} if "sbatch" in changes else {}
    return replace(resources, **{**changes, **both})
