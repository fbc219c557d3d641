"""The plan: which runs a command stands for, which of them exist already, and the run directories of the rest.

Everything is checked before the first file is written; a run is looked up by its signature first, so the same command
finds the same runs, and a larger grid adds only what is new.
"""

import os
import re
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from taunode.errors import BadInput
from taunode.plan.compose import Composer
from taunode.plan.freeze import Freezer
from taunode.runs.config import read_buildable
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.files import to_yaml, write_aside, write_json, write_text
from taunode.runs.provenance import code
from taunode.runs.record import FORMAT, Record, now
from taunode.runs.runtime import Runtime
from taunode.runs.signature import at_absence, differences, flatten, signature
from taunode.runs.state import State
from taunode.runs.where import Where

LONGEST = 120  # characters of the readable part of a name


@dataclass
class PlannedRun:
    """One run of a plan.

    Attributes:
        overrides: those that say what the run is, sorted.
        exists: its directory was there before.
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

    def write(self) -> None:
        """Write the directories of the new runs: two files each, and one file for the command.

        Raises:
            BadInput: the directory cannot be written to.
        """
        if not self.new:
            return
        stamp = f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
        facts, patch = code()
        try:
            commands = SweepDirectory(self.root).commands
            commands.mkdir(parents=True, exist_ok=True)
            if patch and not (commands / facts["patch"]).exists():
                write_aside(commands / facts["patch"], lambda file: file.write(patch))
            command = commands / f"{stamp}.yaml"
            about = {"format": FORMAT, "time": now(), **self.command, "runs": len(self.new), "code": facts}
            write_text(command, to_yaml(about))
            for planned in self.new:
                self._write_run(planned, command)
        except OSError as error:
            raise BadInput(f"cannot write to {self.root}: {error.strerror}") from None

    def _write_run(self, planned: PlannedRun, command: Path) -> None:
        record = Record(
            name=planned.run.path.name,
            signature=planned.signature,
            state=State.PLANNED,
            planned=now(),
            command=os.path.relpath(command, planned.run.path),
            overrides=planned.overrides,
            facts=planned.facts,
            runtime=self.runtime.to_json(),
            attempts=[],
            summary={},
        )
        if planned.run.path.exists():  # the directory a user named for a single run
            aside = planned.run
        else:
            planned.run.path.parent.mkdir(parents=True, exist_ok=True)
            aside = RunDirectory(planned.run.path.with_name(f".{planned.run.path.name}.{uuid.uuid4().hex[:8]}"))
            aside.path.mkdir()
        write_text(aside.config, to_yaml(planned.config))
        write_json(aside.record, record.to_json())
        if aside is not planned.run:
            try:
                os.rename(aside.path, planned.run.path)  # whole or not at all
            except OSError:
                shutil.rmtree(aside.path)
                if not planned.run.record.exists():
                    raise  # else another command planned the same run at the same moment


def plan_sweep(
    composer: Composer,
    jobs: Sequence[Sequence[str]],
    root: Path,
    *,
    swept: Sequence[str],
    where: str | None = None,
    changed: str = "stop",
    again: bool = False,
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

    Raises:
        BadInput: for the first run that cannot be; or nothing is left to plan.
    """
    if root.exists() and not root.is_dir():
        raise BadInput(f"{root} is not a directory")
    if RunDirectory(root).record.exists():
        raise BadInput(f"{root} is a run directory; a sweep needs another hydra.sweep.dir")
    sweep = SweepDirectory(root)
    freezer = Freezer(Path.cwd())
    condition = Where(where) if where else None
    by_signature, by_overrides = _existing(sweep)
    planned: dict[str, PlannedRun] = {}
    runtime: Runtime | None = None
    by_job: list[PlannedRun] = []
    dropped = 0
    for overrides in jobs:
        config, runtime = freezer.freeze(composer.compose(overrides))
        if condition is not None and not condition(dict(flatten(config))):
            dropped += 1
            continue
        key = signature(config)
        if key in planned:
            by_job.append(planned[key])
            continue
        said = scientific_overrides(overrides)
        run = by_signature.get(key)
        old = by_overrides.get(tuple(said))
        if run is None and old is not None and changed != "new":
            if changed == "stop":
                raise BadInput(_has_changed(old, config))
            run = old
        if run is None:
            run = sweep.run(run_name(said, naming(swept, config), key))
            planned[key] = PlannedRun(said, config, key, run, exists=False, facts=freezer.check(config))
        else:
            planned[key] = PlannedRun(said, config, key, run, exists=True)
        planned[key].job = list(overrides)
        by_job.append(planned[key])
    if runtime is None or not planned:
        raise BadInput(f"nothing to plan: where dropped all {dropped} runs" if dropped else "nothing to plan: no runs")
    return Plan(root, list(planned.values()), runtime, command, again, by_job)


def plan_run(
    composer: Composer, overrides: Sequence[str], directory: str, *, again: bool = False, command: dict[str, Any]
) -> Plan:
    """Check a single run. Writes nothing.

    Args:
        directory: where `{name}` stands for the run's name.

    Raises:
        BadInput: it cannot be; or the directory holds another configuration (with the keys that differ).
    """
    freezer = Freezer(Path.cwd())
    config, runtime = freezer.freeze(composer.compose(overrides))
    said = scientific_overrides(overrides)
    key = signature(config)
    name = run_name(said, naming([override_key(text) for text in said], config), key)
    if not directory:
        raise BadInput("hydra.run.dir is empty; it names the run's directory")
    place = Path(directory.replace("{name}", name)).absolute()
    return Plan(place, [place_run(config, said, place, freezer)], runtime, command, again)


def place_run(config: dict[str, Any], overrides: list[str], directory: Path, freezer: Freezer) -> PlannedRun:
    """A frozen configuration in a directory, as a new run or as the one that is there.

    Raises:
        BadInput: the directory holds another configuration (with the keys that differ), or something else.
    """
    run, key = RunDirectory(directory), signature(config)
    if directory.exists() and not directory.is_dir():
        raise BadInput(f"{directory} is not a directory")
    if not run.record.exists():
        if SweepDirectory(directory).runs.is_dir():
            raise BadInput(f"{directory} is a sweep directory; a single run needs another hydra.run.dir")
        return PlannedRun(overrides, config, key, run, exists=False, facts=freezer.check(config))
    if run.read_record().signature != key:
        found = differences(run.read_config(), config)
        keys = ", ".join(f"{name} ({old} there, {new} here)" for name, (old, new) in found.items())
        raise BadInput(f"{directory} holds another configuration: {keys}")
    read_buildable(run.config)
    return PlannedRun(overrides, config, key, run, exists=True)


def _existing(sweep: SweepDirectory) -> tuple[dict[str, RunDirectory], dict[tuple[str, ...], RunDirectory]]:
    """The runs of a sweep by signature, and by the overrides that made them (the newest where several)."""
    by_signature: dict[str, RunDirectory] = {}
    by_overrides: dict[tuple[str, ...], tuple[str, RunDirectory]] = {}
    for run in sweep:
        if run.record.exists():  # else it is broken, and the readers say so
            record = run.read_record()
            by_signature[record.signature] = run
            by_overrides[tuple(record.overrides)] = max(
                by_overrides.get(tuple(record.overrides), ("", run)), (record.planned, run), key=lambda pair: pair[0]
            )
    return by_signature, {overrides: run for overrides, (_, run) in by_overrides.items()}


def _has_changed(old: RunDirectory, config: dict[str, Any]) -> str:
    found = differences(old.read_config(), config)
    keys = ", ".join(f"{name} ({before} then, {after} now)" for name, (before, after) in found.items())
    return (
        f"the same command has made {old.path.name}, and the configuration has changed since: {keys}; "
        "--adopt keeps the old runs, --new plans new ones beside them"
    )


def override_key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def scientific_overrides(overrides: Sequence[str]) -> list[str]:
    """The overrides that say what a run is: not how or where it is executed. Sorted: their order says nothing."""
    last = {override_key(text): text for text in overrides}  # of several for one key the last counts
    return sorted(text for key, text in last.items() if re.split(r"[./]", key)[0] not in ("hydra", "runtime"))


def naming(keys: Sequence[str], config: dict[str, Any]) -> list[str]:
    """Those of the keys that a run's name shows: not what its absence would mean as well."""
    left_out = at_absence(dict(flatten(config)))
    return [key for key in keys if key not in left_out]


def run_name(overrides: Sequence[str], keys: Sequence[str], signature_: str) -> str:
    """A run's name: its value of each of the keys, in at most 120 safe characters, and the signature's beginning."""
    values = {override_key(text): text.partition("=")[2] for text in overrides}
    short = [key.rpartition(".")[2] for key in keys]
    parts = [
        f"{short[index] if short.count(short[index]) == 1 else key}={values[key]}"
        for index, key in enumerate(keys)
        if key in values
    ]
    text = re.sub(r"[^A-Za-z0-9._=,+-]+", "_", ",".join(parts)).strip("_,.")[:LONGEST]
    return f"{text or 'run'}-{signature_[:8]}"
