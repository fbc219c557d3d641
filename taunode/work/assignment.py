"""An assignment: a run that a worker may take, and how it is to be executed."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from taunode.runs.directory import RunDirectory
from taunode.runs.files import Unreadable
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
        with contextlib.suppress(Unreadable):  # whoever shows the runs says so
            _, seen, state = look(assignment.run)
            if may_start(state, seen.attempt) or (state in also and seen.attempts == assignment.newest):
                found.append(assignment)
    return found
