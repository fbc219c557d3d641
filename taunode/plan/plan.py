"""The plan: which runs a command stands for, and which of them exist already.

Everything is checked before the first file is written; a run is looked up by its signature first, so the same command
finds the same runs, and a larger grid adds only what is new.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taunode.errors import BadInput
from taunode.paths import placed
from taunode.plan.compose import Composer
from taunode.plan.freeze import Freezer
from taunode.plan.naming import override_key, run_name, scientific_overrides, shown
from taunode.plan.place import check_run, check_sweep
from taunode.plan.seeds import Seeds
from taunode.runs.config import read_buildable
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.files import Unreadable
from taunode.runs.record import NewerFormat
from taunode.runs.runtime import Runtime
from taunode.runs.signature import differences, flatten, signature
from taunode.runs.where import Where


@dataclass
class PlannedRun:
    """One run of a plan.

    Attributes:
        overrides: those that say what the run is, sorted.
        exists: its directory was there before (it may be broken: whoever executes it says so).
        job: all its overrides as they were typed.
    """

    overrides: list[str]
    config: dict[str, Any]
    signature: str
    run: RunDirectory
    exists: bool
    facts: dict[str, Any] = field(default_factory=dict)
    job: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """The runs of a command.

    Attributes:
        root: the sweep directory, or the directory of a single run.
        runtime: what they were asked with.
        command: what is recorded of the command.
        again: finished runs are to be done again.
        by_job: the run of each of Hydra's jobs, where none was dropped; two jobs can be one run.
    """

    root: Path
    runs: list[PlannedRun]
    runtime: Runtime
    command: dict[str, Any]
    again: bool = False
    by_job: list[PlannedRun] = field(default_factory=list)

    @property
    def new(self) -> list[PlannedRun]:
        return [planned for planned in self.runs if not planned.exists]


def directory(typed: str, name: str, key: str) -> Path:
    """The directory that was typed, absolute; `{name}` in it stands for the name.

    Raises:
        BadInput: it is empty, or cannot be a path.
    """
    if not typed:
        raise BadInput(f"{key} is empty; it names the directory")
    return placed(typed.replace("{name}", name), key)


def _is_it(run: RunDirectory, signature: str) -> bool:
    try:
        return run.read_record().signature == signature
    except Unreadable:
        return False


def plan_sweep(
    composer: Composer,
    jobs: Iterable[Sequence[str]],
    root: Path,
    *,
    swept: Sequence[str],
    where: str | None = None,
    changed: str = "stop",
    again: bool = False,
    apart: bool = False,
    command: dict[str, Any],
) -> Plan:
    """Check all runs of a sweep and find those that exist. Writes nothing.

    Args:
        jobs: the overrides of every run.
        root: the sweep directory.
        swept: the keys that name the runs.
        where: drops the runs that do not meet it.
        changed: what to do where the same overrides have made a run under an older conf/: `stop`, `adopt` it, or plan
            a `new` one beside it.
        apart: as `Freezer` takes it.

    Raises:
        BadInput: for the first run that cannot be, or in whose place something else is; nothing is left to plan; or the
            directory is not taunode's.
    """
    check_sweep(root)
    sweep = SweepDirectory(root)
    freezer = Freezer(Path.cwd(), apart)
    seeds = Seeds(composer, freezer)
    condition = Where(where) if where else None
    there = _There.of(sweep)
    planned: dict[str, PlannedRun] = {}
    runtime: Runtime | None = None
    by_job: list[PlannedRun] = []
    dropped = 0
    for overrides in jobs:
        config, runtime = seeds.freeze(overrides)
        if condition is not None and not condition(dict(flatten(config))):
            dropped += 1
            continue
        key = signature(config)
        if key not in planned:
            said = scientific_overrides(overrides)
            run = there.find(key, said, config, changed)
            if run is not None:
                planned[key] = PlannedRun(said, config, key, run, exists=True)
            else:
                run = sweep.run(run_name(said, shown(swept, config), key))
                if os.path.lexists(run.path) and not _is_it(run, key):  # else another command has just made it
                    raise BadInput(f"{run.path} is in the way: it is not the run that its name says")
                planned[key] = PlannedRun(said, config, key, run, exists=False, facts=freezer.check(config))
            planned[key].job = list(overrides)
        by_job.append(planned[key])
    if runtime is None or not planned:
        raise BadInput(f"nothing to plan: where dropped all {dropped} runs" if dropped else "nothing to plan: no runs")
    return Plan(root, list(planned.values()), runtime, command, again, by_job)


def plan_run(
    composer: Composer, overrides: Sequence[str], typed: str, *, again: bool = False, command: dict[str, Any]
) -> Plan:
    """Check a single run. Writes nothing.

    Args:
        typed: its directory, where `{name}` stands for the run's name.

    Raises:
        BadInput: it cannot be; or the directory holds another configuration (with the keys that differ), or what is
            not taunode's.
    """
    freezer = Freezer(Path.cwd())
    config, runtime = freezer.freeze(composer.compose(overrides))
    said = scientific_overrides(overrides)
    name = run_name(said, shown([override_key(text) for text in said], config), signature(config))
    place = directory(typed, name, "hydra.run.dir")
    return Plan(place, [place_run(config, said, place, freezer)], runtime, command, again)


def place_run(config: dict[str, Any], overrides: list[str], place: Path, freezer: Freezer) -> PlannedRun:
    """A frozen configuration in a directory, as a new run or as the one that is there.

    Raises:
        BadInput: the directory holds another configuration (with the keys that differ), or what is not taunode's.
    """
    run, key = RunDirectory(place), signature(config)
    if not os.path.lexists(run.record):
        check_run(place)
        return PlannedRun(overrides, config, key, run, exists=False, facts=freezer.check(config))
    if run.read_record().signature != key:
        found = differences(run.read_config(), config)
        keys = ", ".join(f"{name} ({old} there, {new} here)" for name, (old, new) in found.items())
        raise BadInput(f"{place} holds another configuration: {keys}")
    read_buildable(run.config)
    return PlannedRun(overrides, config, key, run, exists=True)


@dataclass(frozen=True)
class _There:
    """The runs that a sweep has: by signature, by the overrides that made them (the newest where several), and those
    that cannot be read by what is left of their signature, the end of the name."""

    by_signature: dict[str, RunDirectory]
    by_overrides: dict[tuple[str, ...], RunDirectory]
    broken: dict[str, RunDirectory]

    @classmethod
    def of(cls, sweep: SweepDirectory) -> "_There":
        by_signature: dict[str, RunDirectory] = {}
        by_overrides: dict[tuple[str, ...], tuple[str, RunDirectory]] = {}
        broken: dict[str, RunDirectory] = {}
        for run in sweep:
            try:
                record = run.read_record()
            except NewerFormat:  # whose signatures may be others, so that runs would be planned twice
                raise
            except Unreadable:
                broken[run.path.name.rpartition("-")[2]] = run
                continue
            by_signature[record.signature] = run
            known = by_overrides.get(tuple(record.overrides))
            if known is None or known[0] <= record.planned:
                by_overrides[tuple(record.overrides)] = record.planned, run
        return cls(by_signature, {said: run for said, (_, run) in by_overrides.items()}, broken)

    def find(self, key: str, said: Sequence[str], config: dict[str, Any], changed: str) -> RunDirectory | None:
        """The run of a signature, or what stands for it.

        Raises:
            BadInput: the same overrides have made another run, and `changed` is `stop`.
        """
        run = self.by_signature.get(key) or self.broken.get(key[:8])
        old = self.by_overrides.get(tuple(said))
        if run is not None or old is None or changed == "new":
            return run
        if changed == "adopt":
            return old
        found = differences(old.read_config(), config)
        keys = ", ".join(f"{name} ({before} then, {after} now)" for name, (before, after) in found.items())
        raise BadInput(
            f"the same command has made {old.path.name}, and the configuration has changed since: {keys}; "
            "--adopt keeps the old runs, --new plans new ones beside them"
        )
