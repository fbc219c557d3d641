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
from taunode.show.selection import Selection


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
    found = Cancelled()
    at_work_here = any(_works_outside_of_slurm(one.seen.attempt) for one in chosen.runs if one.state is State.RUNNING)
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
        in_slurm = one.state is State.QUEUED or (
            one.state is State.RUNNING and not _works_outside_of_slurm(one.seen.attempt)
        )
        if everything and (in_slurm or not (at_work_here or one.state is State.RUNNING)):
            continue  # its job ends, or nobody is about to begin with it
        try:
            state = cancel_run(one.run)
        except (Unreadable, OSError) as error:
            found.broken.append((one.run.path.name, str(error)))
            continue
        if state is not None:
            (found.at_work if state is State.RUNNING else found.waiting).append(one.run.path.name)
    return found


def _works_outside_of_slurm(attempt: object) -> bool:
    return isinstance(attempt, dict) and attempt["owner"]["slurm"] is None
