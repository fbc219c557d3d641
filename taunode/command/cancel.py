"""Stop a sweep, here and in Slurm: what is at work saves itself first, and what waits is not begun."""

from dataclasses import dataclass, field
from pathlib import Path

from taunode.cluster.queue import scancel
from taunode.cluster.submission import look_again
from taunode.errors import BadInput
from taunode.runs.claim import cancel as cancel_run
from taunode.runs.directory import sweep_of
from taunode.runs.files import Unreadable
from taunode.runs.state import State
from taunode.show.selection import Selected, Selection, select


@dataclass
class Cancelled:
    """What was cancelled: jobs by their numbers, runs that were at work and runs that waited; and what could not be."""

    jobs: list[str] = field(default_factory=list)
    at_work: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)


def cancel(path: Path, chosen: Selection, everything: bool) -> Cancelled:
    """Cancel the chosen runs; where `everything` of a sweep was chosen its jobs, too.

    A run at work finds the request beside its claim, wherever it is, saves itself and ends. One that waits, in the
    queue or behind others, gets a claim that says so, and whoever comes to it goes on to the next.

    Raises:
        BadInput: squeue or scancel does not answer.
    """
    found = Cancelled(broken=list(chosen.broken))
    all_runs = chosen.runs if everything else select(path).runs
    here = [one.seen.attempt for one in all_runs if one.state is State.RUNNING and _is_outside_of_slurm(one)]
    retried = {state for attempt in here for state in (attempt or {}).get("asked", ())}
    if everything and chosen.slurm.submissions:
        if chosen.slurm.queue is None:
            raise BadInput(f"{path}: squeue does not answer here; cancel from a node of the cluster")
        sweep, queue = sweep_of(path), chosen.slurm.queue
        for submission in chosen.slurm.submissions:
            if submission.name in queue.submissions:
                submission.cancelled = True
                submission.write(sweep)
                found.jobs += sorted(queue.submissions[submission.name])
        scancel(found.jobs)
        look_again()
    for one in chosen.runs:
        in_slurm = one.state is State.QUEUED or (one.state is State.RUNNING and not _is_outside_of_slurm(one))
        if everything and (in_slurm or not (here or one.state is State.RUNNING)):
            continue  # its job ends, or nobody is about to begin with it
        try:
            state = cancel_run(one.run, retried=one.state is State.QUEUED or one.state in retried)
        except (Unreadable, OSError) as error:
            found.broken.append((one.run.path.name, str(error)))
            continue
        if state is not None:
            (found.at_work if state is State.RUNNING else found.waiting).append(one.run.path.name)
    return found


def _is_outside_of_slurm(one: Selected) -> bool:
    return one.seen.attempt is not None and one.seen.attempt["owner"]["slurm"] is None
