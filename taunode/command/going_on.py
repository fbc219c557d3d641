"""Going on with a sweep, as `resume` and `worker` do: with which runs, with whose code, and executing them here."""

import contextlib
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taunode.errors import BadInput, plain

if TYPE_CHECKING:
    from taunode.runs.state import State
    from taunode.show.selection import Selection
    from taunode.show.status import Outcome

NAME = "taunode-sweep"


def choose(sweep: Path, where: str | None, only: str | None) -> "Selection":
    """The runs a command shall go on with; says which cannot be read.

    Raises:
        BadInput: there are none.
    """
    from taunode.show.selection import select

    chosen = select(sweep, where, only)
    for name, reason in chosen.broken:
        print(plain(f"{NAME}: left out {name}: {reason}"), file=sys.stderr)
    if not chosen.runs and chosen.broken and only is None and where is None:
        sys.exit(1)  # there are runs, and none can be read
    if not chosen.runs:
        counts = Counter(one.state for one in select(sweep).runs)
        there = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no runs"
        wanted = " and ".join(text for text in (only, where) if text is not None)
        raise BadInput(f"{sweep}: no run is {wanted}; there are {there}" if wanted else f"{sweep}: {there}")
    return chosen


def bring_code(sweep: Path, chosen: "Selection", config_dir: Path | None) -> None:
    """Name the folder of the user's own code; a sweep's files say that one is wanted, and never which.

    Raises:
        BadInput: there is no such folder; or none is named, and a command of these runs had one.
    """
    from taunode import own_code
    from taunode.command.line import bring
    from taunode.runs.directory import sweep_of
    from taunode.runs.files import Unreadable, read_yaml

    if config_dir is not None:
        bring(config_dir)
    if own_code.folders():
        return
    named = {Path(one.record.command or "").name for one in chosen.runs}
    for command in [file for file in sweep_of(sweep).command_files() if file.name in named]:
        with contextlib.suppress(Unreadable, LookupError, TypeError):
            if read_yaml(command)["code"]["own"]["folders"]:
                raise BadInput(
                    f"{sweep} was planned with code of its user's own; if it is yours, add --config-dir DIR, its folder"
                )


def execute(
    sweep: Path,
    chosen: "Selection",
    changes: dict[str, Any],
    workers: int | None,
    also: "frozenset[State]" = frozenset(),
    wait: bool = True,
) -> "Outcome":
    """Execute on this machine what may be started of the chosen runs; broken ones only in states of `also`."""
    from dataclasses import replace

    from taunode.command.local import run_locally
    from taunode.command.trust import own
    from taunode.runs.runtime import Runtime
    from taunode.runs.state import RESULTS
    from taunode.show.status import Outcome, Status, status_of
    from taunode.work.assignment import Assignment
    from taunode.work.machine import check_machine

    assignments, seen, refusal = [], [], None
    apart = [Status(name, None, note=reason) for name, reason in chosen.left_out]
    for one in chosen.runs:
        status = status_of(one.run, one.record, one.seen, one.state, chosen.slurm)
        try:
            runtime = Runtime.from_config(own(one.record.runtime) | changes, Path.cwd())
            check_machine(runtime, workers)
        except BadInput as error:  # in its record, or of this machine
            refusal = refusal or error
            if one.state in RESULTS:
                apart.append(status)
            else:
                apart.append(Status(one.run.path.name, None, note=str(error)))
        else:
            assignments.append(Assignment(one.run, runtime, one.seen.attempts))
            seen.append(status)
    if not assignments:
        if refusal is not None and any(status.state is None for status in apart):
            raise refusal
        return Outcome(sweep, apart, interrupted=False)
    outcome = run_locally(assignments, sweep, workers, also, wait, seen)
    return replace(outcome, statuses=[*outcome.statuses, *apart])
