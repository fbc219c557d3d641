"""Which runs of a sweep a command is about: all, those that meet a condition, those in some states."""

from dataclasses import dataclass
from pathlib import Path

from taunode.cluster.submission import InSlurm
from taunode.errors import BadInput, nearest
from taunode.runs.directory import RunDirectory, SweepDirectory, runs_of, sweep_of
from taunode.runs.files import Unreadable
from taunode.runs.record import Record
from taunode.runs.signature import flatten
from taunode.runs.state import Observation, State
from taunode.runs.where import Where


@dataclass(frozen=True)
class Selected:
    """A run, and how it stood when it was chosen."""

    run: RunDirectory
    record: Record
    seen: Observation
    state: State


@dataclass(frozen=True)
class Selection:
    """The runs of a sweep that were chosen, what cannot be read with the reason, and what Slurm has of it."""

    runs: list[Selected]
    broken: list[tuple[str, str]]
    slurm: InSlurm


def select(sweep: Path, where: str | None = None, only: str | None = None) -> Selection:
    """Look at the runs of a sweep, or at the one run of a run directory.

    Args:
        where: a condition on their keys, facts and `state`.
        only: states, with commas.

    Raises:
        BadInput: it is no sweep; the condition is none, or has a key that no run has.
    """
    condition = None if where is None else Where(where)
    states = None if only is None else _states(only)
    runs = runs_of(sweep)
    slurm = InSlurm.of(sweep_of(sweep))
    chosen: list[Selected] = []
    broken = [(str(error.path), error.reason) for error in slurm.broken]
    for run in runs:
        try:
            record, seen, state = slurm.look(run)
            if states is not None and state not in states:
                continue
            if condition is None or condition(_keys(run, record, state)):
                chosen.append(Selected(run, record, seen, state))
        except Unreadable as error:
            broken.append((run.path.name, f"{error.path.name}: {error.reason}"))
    return Selection(chosen, broken, slurm)


def _keys(run: RunDirectory, record: Record, state: State) -> dict[str, object]:
    return {**dict(flatten(run.read_config())), **record.facts, "state": str(state)}


def _states(only: str) -> frozenset[str]:
    for name in only.split(","):
        if name not in list(State):
            raise BadInput(f"--only {name}: no such state; valid: {nearest(name, list(State))}")
    return frozenset(only.split(","))


def one_run(path: Path) -> RunDirectory:
    """
    Raises:
        BadInput: it is no run's directory.
    """
    run = RunDirectory(path.resolve())
    if not run.record.exists():
        runs = [path / "runs" / name for name in SweepDirectory(path).named()]
        hint = f"; it is a sweep, of which this is a run: {runs[0]}" if runs else ""
        raise BadInput(f"{path} is not a run directory{hint}")
    return run
