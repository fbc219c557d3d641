"""What a command line stands for: the plan of a single run, or of a sweep in Hydra's grammar."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from taunode.build import checked, convert
from taunode.errors import BadInput
from taunode.plan.compose import Composer, as_typed
from taunode.plan.freeze import Freezer
from taunode.plan.grid import grid
from taunode.plan.plan import (
    Plan,
    naming,
    override_key,
    place_run,
    plan_run,
    plan_sweep,
    run_name,
    scientific_overrides,
)
from taunode.runs.directory import SweepDirectory
from taunode.runs.signature import signature


@dataclass(frozen=True)
class SweepOptions:
    """The keys of conf/hydra/sweeper/taunode.yaml; see there for what each means."""

    params: dict[str, Any] | None = None
    where: str | None = None
    zip: list[Any] | None = None
    again: bool = False
    adopt: bool = False
    new: bool = False

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "SweepOptions":
        """Checked.

        Raises:
            BadInput: an unknown key, or a value of another type.
        """
        return cls(**checked(cls, values, "hydra.sweeper"))

    @property
    def zipped(self) -> list[list[str]]:
        """The groups of keys that are zipped: of a list of keys one.

        Raises:
            BadInput: it is neither a list of keys nor a list of such lists.
        """
        groups = self.zip or []
        if not any(isinstance(name, list) for name in groups):
            groups = [groups]
        found: list[list[str]] = convert(groups, list[list[str]], "hydra.sweeper.zip")
        return found

    @property
    def changed(self) -> str:
        if self.adopt and self.new:
            raise BadInput("--adopt keeps old runs and --new plans them anew: choose one")
        return "adopt" if self.adopt else "new" if self.new else "stop"


def options_of(composer: Composer) -> SweepOptions:
    """The sweeper's options in a composed command; those it does not have (another sweeper) are at their defaults."""
    node = OmegaConf.to_container(composer.master.hydra.sweeper, resolve=True)
    assert isinstance(node, dict)
    known = {field.name for field in fields(SweepOptions)}
    return SweepOptions.from_config({str(key): value for key, value in node.items() if key in known})


def refuse_chdir(composer: Composer) -> None:
    if composer.master.hydra.job.chdir:
        raise BadInput("hydra.job.chdir=true is not supported: runs find their files by absolute paths, never by cd")


def plan_multirun(composer: Composer, arguments: Sequence[str]) -> Plan:
    """The plan of a multirun command line; writes nothing.

    Raises:
        BadInput: something in it cannot be.
    """
    options = options_of(composer)
    jobs, swept = grid(composer, options.params, arguments, options.zipped)
    return _plan(composer, jobs, swept, options)


def plan_jobs(composer: Composer, jobs: Sequence[Sequence[str]]) -> Plan:
    """The plan of override lists that another of Hydra's sweepers made."""
    keys = {override_key(text) for job in jobs for text in scientific_overrides(job)}
    return _plan(composer, jobs, sorted(keys), SweepOptions())


def named_sweep(composer: Composer) -> str:
    """The sweep directory of a command line whose grid another of Hydra's sweepers makes, absolute."""
    overrides = composer.parse(composer.typed)
    swept = [override.get_key_element() for override in overrides if override.is_sweep_override()]
    return str(_sweep_directory(composer, swept))


def _sweep_directory(composer: Composer, swept: Sequence[str]) -> Path:
    hydra = composer.master.hydra
    experiment = OmegaConf.select(hydra, "runtime.choices.experiment")
    name = str(experiment) if experiment else ",".join(sorted(swept)) or "default"
    if not hydra.sweep.dir:
        raise BadInput("hydra.sweep.dir is empty; it names the sweep's directory")
    return Path(str(hydra.sweep.dir).replace("{name}", name)).absolute()


def _plan(composer: Composer, jobs: Sequence[Sequence[str]], swept: Sequence[str], options: SweepOptions) -> Plan:
    refuse_chdir(composer)
    if not swept and jobs:
        swept = [override_key(text) for text in scientific_overrides(jobs[0])]  # a sweep of one
    return plan_sweep(
        composer,
        jobs,
        _sweep_directory(composer, swept),
        swept=swept,
        where=options.where,
        changed=options.changed,
        again=options.again,
        command=about_command(composer, {"params": options.params, "where": options.where, "zip": options.zip}),
    )


def plan_single(composer: Composer) -> Plan:
    """The plan of a command line without -m; writes nothing.

    Raises:
        BadInput: it cannot be.
    """
    refuse_chdir(composer)
    hydra = composer.master.hydra
    return plan_run(
        composer,
        composer.typed,
        str(hydra.run.dir),
        again=options_of(composer).again,
        command=about_command(composer, {}),
    )


def plan_job(config: DictConfig, hydra: DictConfig) -> Plan:
    """The plan of one job of Hydra's basic launcher: a run in the sweep's directory, planned already or new.

    Args:
        config: the job's configuration, composed by Hydra.
        hydra: its `hydra` node.
    """
    freezer = Freezer(Path.cwd())
    frozen, runtime = freezer.freeze(config)
    sweep = SweepDirectory(Path(str(hydra.sweep.dir)).absolute())
    key = signature(frozen)
    said = scientific_overrides(as_typed(hydra))
    existing = [sweep.run(name) for name in sweep.named() if name.endswith(f"-{key[:8]}")]
    run = (
        existing[0]
        if existing
        else sweep.run(run_name(said, naming([override_key(text) for text in said], frozen), key))
    )
    planned = place_run(frozen, said, run.path, freezer)
    command = {"command": [Path(sys.argv[0]).name, *sys.argv[1:]], "directory": os.getcwd()}
    return Plan(sweep.path, [planned], runtime, command)


def about_command(composer: Composer, grid: dict[str, Any]) -> dict[str, Any]:
    """What is recorded of a command: how it was typed, where, its grid, and Hydra's own node."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "directory": os.getcwd(),
        "overrides": composer.typed,
        **grid,
        "hydra": OmegaConf.to_container(composer.master.hydra, resolve=False, enum_to_str=True),
    }
