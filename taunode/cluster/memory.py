"""What ran out of memory is sent again with more, by the first task of its submission that sees it."""

import os
from collections.abc import Mapping
from typing import Any

from taunode.cluster.resources import Request
from taunode.cluster.submission import Submission
from taunode.errors import BadInput
from taunode.runs.directory import SweepDirectory
from taunode.runs.files import Unreadable, link_once
from taunode.runs.observe import look
from taunode.runs.record import now
from taunode.runs.state import State


def had(attempt: Mapping[str, Any] | None) -> int | None:
    """What an attempt had, in MiB; None where that is not known."""
    told = (attempt or {}).get("host", {}).get("slurm_mem_per_node")
    return int(told) if isinstance(told, str) and told.isdecimal() else None


def send_again(sweep: SweepDirectory, name: str) -> None:
    """Send what ran out of memory of a submission, once an attempt; nothing of what was cancelled.

    What sbatch says to that, if it refuses, stands in the submission, where `status` finds it.
    """
    try:
        submission = Submission.read(sweep.submission(name))
        request = Request.from_config(submission.launcher)
    except BadInput:  # somebody has changed it since the task began
        return
    if submission.cancelled:
        return
    from taunode.cluster.submit import Wanted, submit  # submitit, where it is needed

    wanted = []
    for run in map(sweep.run, submission.runs):
        try:
            _, seen, state = look(run)
        except Unreadable:
            continue
        if state is not State.OUT_OF_MEMORY:
            continue
        given = request.after_out_of_memory(submission.resources, had(seen.attempt))
        mark = sweep.slurm / f"{run.path.name[:200]}.memory.{seen.attempts}"
        if given is not None and link_once(mark, {"time": now(), "job": os.environ.get("SLURM_JOB_ID")}):
            wanted.append(Wanted(run, given, submission.runtime, seen.attempts))
    if wanted:
        try:
            refusals = submit(sweep.path, wanted, request).refusals
        except (BadInput, OSError) as error:
            refusals = [str(error)]
        for refusal in refusals:
            print(f"more memory: {refusal}", flush=True)
        if refusals:
            submission.refused = "; ".join(refusals)
            submission.write(sweep)
