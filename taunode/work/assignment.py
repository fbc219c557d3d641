"""An assignment: a run that a worker may take, and how it is to be executed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from taunode import build
from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory
from taunode.runs.observe import look
from taunode.runs.runtime import Runtime
from taunode.runs.state import State, may_start


@dataclass(frozen=True)
class Assignment:
    """A run to be looked at, and how to execute it.

    Attributes:
        runtime: with `threads` as the run shall have them.
        newest: the user asked to try the run again, if this is still its newest attempt.
    """

    run: RunDirectory
    runtime: Runtime
    newest: int | None = None


def startable(assignments: Sequence[Assignment], also: frozenset[State] = frozenset()) -> list[Assignment]:
    """Those whose runs may be started now; also runs in these states, where `newest` says so."""
    found = []
    for assignment in assignments:
        _, seen, state = look(assignment.run)
        if may_start(state, seen.attempt) or (state in also and seen.attempts == assignment.newest):
            found.append(assignment)
    return found


def check_frozen(runs: Iterable[RunDirectory]) -> None:
    """Refuse runs whose frozen configuration names what taunode does not build: somebody changed the file.

    Raises:
        BadInput: with the run, the key and the names that are allowed.
    """
    for run in runs:
        try:
            build.check_targets(run.read_config())
        except BadInput as error:
            raise BadInput(f"{run.config}: {error}") from None
