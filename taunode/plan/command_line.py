"""What a command line stands for: the plan of a single run, or of a sweep in Hydra's grammar."""

import contextlib
import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from taunode.build import checked, convert
from taunode.errors import BadInput
from taunode.plan.compose import Composer, as_typed
from taunode.plan.freeze import Freezer
from taunode.plan.grid import Grid, grid
from taunode.plan.naming import override_key, run_name, scientific_overrides, shown, sweep_name
from taunode.plan.plan import Plan, directory, place_run, plan_run, plan_sweep
from taunode.runs.directory import SweepDirectory
from taunode.runs.files import Unreadable, read_yaml
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
    many: bool = False

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
        """
        Raises:
            BadInput: two of the flags contradict each other.
        """
        if self.adopt and self.new:
            raise BadInput("--adopt keeps old runs and --new plans them anew: choose one")
        return "adopt" if self.adopt else "new" if self.new else "stop"


def options_of(composer: Composer) -> SweepOptions:
    """The sweeper's options in a composed command; those it does not have (another sweeper) are at their defaults."""
    node = OmegaConf.to_container(composer.master.hydra.sweeper, resolve=True)
    assert isinstance(node, dict)
    known = {field.name for field in fields(SweepOptions)}
    return SweepOptions.from_config({str(key): value for key, value in node.items() if key in known})


def refuse_what_is_ignored(composer: Composer) -> None:
    """Options of Hydra's that would do nothing here, or harm.

    Raises:
        BadInput: one of them is set.
    """
    hydra = composer.master.hydra
    if hydra.job.chdir:
        raise BadInput("hydra.job.chdir=true is not supported: runs find their files by absolute paths, never by cd")
    if hydra.job.env_set:
        raise BadInput("hydra.job.env_set is not supported: set the variables before the command, or in setup on Slurm")
    if hydra.sweep.subdir != "runs":
        raise BadInput("hydra.sweep.subdir is not supported: runs are called after what they are, in hydra.sweep.dir")
    if hydra.output_subdir is not None:
        raise BadInput("hydra.output_subdir is not supported: .hydra/ is written when a run starts")
    if hydra.mode == RunMode.RUN and hydra.callbacks:
        raise BadInput("hydra.callbacks are called in a sweep: add -m")


def plan_multirun(composer: Composer, arguments: Sequence[str], apart: bool = False) -> Plan:
    """The plan of a multirun command line; writes nothing.

    Args:
        apart: nothing of it is trained in this process; see `Freezer`.

    Raises:
        BadInput: something in it cannot be.
    """
    made = grid_of(composer, arguments)
    return _plan(composer, made.jobs(), made.swept, options_of(composer), apart)


def grid_of(composer: Composer, arguments: Sequence[str] | None = None) -> Grid:
    """The grid of a multirun command line.

    Args:
        arguments: in place of those that were typed.

    Raises:
        BadInput: a list of it cannot be, or there are too many runs.
    """
    options = options_of(composer)
    typed = composer.typed if arguments is None else arguments
    return grid(composer, options.params, typed, options.zipped, options.many)


def plan_jobs(composer: Composer, jobs: Sequence[Sequence[str]]) -> Plan:
    """The plan of override lists that another of Hydra's sweepers made."""
    values: dict[str, set[str]] = {}
    for text in (text for job in jobs for text in scientific_overrides(job)):
        values.setdefault(override_key(text), set()).add(text)
    several = sorted(key for key, texts in values.items() if len(texts) > 1)
    return _plan(composer, jobs, several or sorted(values), SweepOptions(), apart=False)


def named_sweep(composer: Composer) -> str:
    """The sweep directory of a command line whose grid another of Hydra's sweepers makes, absolute."""
    overrides = composer.parse(composer.typed)
    swept = [override.get_key_element() for override in overrides if override.is_sweep_override()]
    return str(_sweep_directory(composer, swept))


def _sweep_directory(composer: Composer, swept: Sequence[str]) -> Path:
    """Where a sweep is written: experiments that differ in an option that was typed are two sweeps."""
    hydra = composer.master.hydra
    experiment = OmegaConf.select(hydra, "runtime.choices.experiment")
    base = str(experiment) if experiment else ",".join(sorted(swept)) or "default"
    params = OmegaConf.select(hydra, "sweeper.params") or {}
    if not isinstance(params, Mapping):
        raise BadInput(f"hydra.sweeper.params must hold keys, each with its values, got {params}")
    fixed = _fixed(composer.typed, [*swept, *params])
    typed = str(hydra.sweep.dir or "")
    named = directory(typed, sweep_name(base, fixed), "hydra.sweep.dir")
    before = directory(typed, base, "hydra.sweep.dir")  # what it was called before 0.2
    if named != before and not named.exists() and before.is_dir():
        for path in SweepDirectory(before).command_files():
            with contextlib.suppress(Unreadable, AttributeError, KeyError, TypeError):
                if _fixed(read_yaml(path)["overrides"], [*swept, *params]) == fixed:
                    return before
    return named


def _fixed(typed: Sequence[str], swept: Collection[str]) -> list[str]:
    """The overrides of a command line that all its runs have."""
    said = scientific_overrides(typed)
    return [text for text in said if override_key(text) not in swept and override_key(text) != "experiment"]


def _plan(
    composer: Composer, jobs: Iterable[Sequence[str]], swept: Sequence[str], options: SweepOptions, apart: bool
) -> Plan:
    refuse_what_is_ignored(composer)
    return plan_sweep(
        composer,
        jobs,
        _sweep_directory(composer, swept),
        swept=swept or [override_key(text) for text in scientific_overrides(composer.typed)],  # a sweep of one
        where=options.where,
        changed=options.changed,
        again=options.again,
        apart=apart,
        command=about_command(composer, {"params": options.params, "where": options.where, "zip": options.zip}),
    )


def plan_single(composer: Composer) -> Plan:
    """The plan of a command line without -m; writes nothing.

    Raises:
        BadInput: it cannot be.
    """
    refuse_what_is_ignored(composer)
    hydra = composer.master.hydra
    return plan_run(
        composer,
        composer.typed,
        str(hydra.run.dir or ""),
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
    sweep = SweepDirectory(directory(str(hydra.sweep.dir or ""), "", "hydra.sweep.dir"))
    key = signature(frozen)
    said = scientific_overrides(as_typed(hydra))
    existing = [sweep.run(name) for name in sweep.named() if name.endswith(f"-{key[:8]}")]
    keys = shown([override_key(text) for text in said], frozen)
    run = existing[0] if existing else sweep.run(run_name(said, keys, key))
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
