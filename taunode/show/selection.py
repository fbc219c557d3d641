"""Which runs of a sweep a command is about: all, those that meet a condition, those in some states."""

from dataclasses import dataclass, field
from pathlib import Path

from taunode.cluster.submission import InSlurm
from taunode.errors import BadInput, nearest
from taunode.paths import resolved
from taunode.runs.directory import RunDirectory, SweepDirectory, runs_of, sweep_of
from taunode.runs.files import Unreadable
from taunode.runs.note import noted
from taunode.runs.record import Record
from taunode.runs.signature import flatten
from taunode.runs.state import Observation, State
from taunode.runs.where import UnknownKey, Where


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

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """The runs that cannot be read, with the reason."""
        return self.broken[len(self.slurm.broken) :]


def select(sweep: Path, where: str | None = None, only: str | None = None) -> Selection:
    """Look at the runs of a sweep, or at the one run of a run directory.

    Args:
        where: a condition on their keys, facts, `state`, `note` and `tags`.
        only: states, with commas.

    Raises:
        BadInput: it is no sweep; the condition is none, has a key that no run has, or can be told of no run.
    """
    condition = None if where is None else _Condition(Where(where))
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
            one = Selected(run, record, seen, state)
            if condition is None:
                chosen.append(one)
            else:
                condition.judge(one, _keys(run, record, state))
        except Unreadable as error:
            broken.append((run.path.name, f"{error.path.name}: {error.reason}"))
    if condition is not None:
        chosen = condition.met()
        broken += condition.untold
    return Selection(chosen, broken, slurm)


@dataclass
class _Condition:
    """A condition on many runs: a key that only some of them have is null in the others, and a run whose values cannot
    be compared is one run.

    Attributes:
        untold: the runs of which it cannot be told, with the reason.
    """

    where: Where
    untold: list[tuple[str, str]] = field(default_factory=list)
    _told: list[tuple[Selected, bool]] = field(default_factory=list)  # of each, whether it meets the condition
    _lacking: list[tuple[int, dict[str, object], UnknownKey]] = field(default_factory=list)  # a place in `_told`
    _names: set[str] = field(default_factory=set)

    def judge(self, one: Selected, keys: dict[str, object]) -> None:
        self._names |= keys.keys()
        try:
            self._told.append((one, self.where(keys)))
        except UnknownKey as unknown:
            self._lacking.append((len(self._told), keys, unknown))
            self._told.append((one, False))
        except BadInput as error:
            self.untold.append((one.run.path.name, str(error)))

    def met(self) -> list[Selected]:
        """The runs that meet it, in their order.

        Raises:
            BadInput: no run has a key of it, or its values can be compared in none.
        """
        if not self._told and self.untold:
            raise BadInput(self.untold[0][1])
        for place, keys, unknown in self._lacking:
            if unknown.key not in self._names:
                raise unknown
            one, _ = self._told[place]
            try:
                self._told[place] = one, self.where({**dict.fromkeys(self._names), **keys})
            except UnknownKey:
                raise
            except BadInput as error:
                self.untold.append((one.run.path.name, str(error)))
        return [one for one, meets in self._told if meets]


def _keys(run: RunDirectory, record: Record, state: State) -> dict[str, object]:
    said = noted(run.path)
    about = {"state": str(state), "note": said.note, "tags": said.tags}
    return {**dict(flatten(run.read_config())), **record.facts, **about}


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
    run = RunDirectory(resolved(path))
    if not run.record.exists():
        runs = [path / "runs" / name for name in SweepDirectory(path).named()]
        hint = f"; it is a sweep, of which this is a run: {runs[0]}" if runs else ""
        raise BadInput(f"{path} is not a run directory{hint}")
    return run
