"""Which runs of a sweep a command is about: all, those that meet a condition, those in some states."""

from dataclasses import dataclass
from pathlib import Path

from taunode.cluster.submission import InSlurm, sweep_of
from taunode.errors import BadInput, nearest
from taunode.runs.directory import NewerFormat, Record, RunDirectory, SweepDirectory
from taunode.runs.observe import look
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
    """The runs of a sweep that were chosen, those that cannot be read with the reason, and what Slurm has of it."""

    runs: list[Selected]
    broken: list[tuple[str, str]]
    slurm: InSlurm


def select(sweep: Path, where: str | None = None, only: str | None = None) -> Selection:
    """Look at the runs of a sweep, or at the one run of a run directory.

    Args:
        where: a condition on their keys, facts and `state`.
        only: states, with commas.

    Raises:
        BadInput: it is no sweep; a newer taunode has written to it; the condition is none, or has an unknown key.
    """
    condition = None if where is None else Where(where)
    states = None if only is None else _states(only)
    slurm = InSlurm.of(sweep_of(sweep))
    chosen, broken = [], []
    for run in SweepDirectory.open(sweep):
        try:
            record, seen, state = look(run, slurm.queue, run.path.name in slurm.queued)
            config = {} if condition is None else run.read_config()
        except NewerFormat:
            raise
        except (BadInput, OSError, ValueError) as error:
            broken.append((run.path.name, str(error)))
            continue
        if states is not None and state not in states:
            continue
        if condition is None or condition({**dict(flatten(config)), **record.facts, "state": str(state)}):
            chosen.append(Selected(run, record, seen, state))
    return Selection(chosen, broken, slurm)


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
    if not RunDirectory(path).record.exists():
        runs = [path / "runs" / name for name in SweepDirectory(path).named()]
        hint = f"; it is a sweep, of which this is a run: {runs[0]}" if runs else ""
        raise BadInput(f"{path} is not a run directory{hint}")
    return RunDirectory(path)
