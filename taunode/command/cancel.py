"""Stop what a sweep has in Slurm: its jobs in the queue and at work. Runs at work save themselves first."""

from pathlib import Path

from taunode.cluster.queue import scancel
from taunode.cluster.submission import Submission, sweep_of
from taunode.errors import BadInput
from taunode.runs.state import State
from taunode.show.selection import Selection


def cancel(path: Path, chosen: Selection, everything: bool) -> list[str]:
    """Cancel the jobs of the chosen runs; of all jobs of the sweep where `everything` of it was chosen.

    Returns:
        What was cancelled, in Slurm's words: names of jobs, or the numbers of tasks.

    Raises:
        BadInput: squeue or scancel does not answer; a chosen run waits in an array together with others.
    """
    if chosen.slurm.queue is None:
        raise BadInput(f"{path}: squeue does not answer here; cancel from a node of the cluster")
    if everything:
        names = [Submission.read(file).name for file in sweep_of(path).submissions()]
        found = sorted(set(names) & chosen.slurm.queue.names)
        scancel([f"--name={name}" for name in found], one_by_one=True)
        return found
    waiting = [one.run.path.name for one in chosen.runs if one.state is State.QUEUED]
    if waiting:
        raise BadInput(
            f"{waiting[0]} waits in an array, whose tasks take what is left; cancel the whole sweep, "
            "then resume with --where what shall go on"
        )
    jobs = []
    for one in chosen.runs:
        job = (one.seen.attempt or {}).get("owner", {}).get("slurm")
        if one.state is State.RUNNING and job is not None and job["job"] not in jobs:
            jobs.append(job["job"])
    scancel(jobs)
    return jobs
