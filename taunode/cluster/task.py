"""A task of a Slurm array: workers that take their share of a submission's runs. What srun starts on the node.

    python -m taunode.cluster.task SUBMISSION FIRST [--config-dir DIR]...

It takes the runs at its own place in the list first, then any that are left. Before the time limit Slurm sends
SIGUSR2: the runs save themselves, and the job is requeued if it can go on. The exit code is 1 if one of its runs has
failed, so that Slurm says FAILED.
"""

import itertools
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from taunode import own_code
from taunode.cluster.memory import send_again
from taunode.cluster.queue import end_time, requeue
from taunode.cluster.submission import Submission
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.files import Unreadable
from taunode.runs.observe import look
from taunode.runs.runtime import Runtime
from taunode.runs.state import BROKEN, State
from taunode.work.allowance import Allowance
from taunode.work.assignment import Assignment, startable
from taunode.work.crew import Crew
from taunode.work.member import Channel, channel
from taunode.work.signals import Signals
from taunode.work.worker import work

ALSO = BROKEN | {State.RUNNING, State.STALLED}  # of assignments that carry `newest`
FAILED, REQUEUE = 1, 75  # exit codes of a worker; 75 is EX_TEMPFAIL
EARLY = 10  # starts of a job, until one that ends before a run has begun is the last
REBIRTHS = 3  # workers that were killed, until no more are started in their place


def main(arguments: Sequence[str]) -> int:
    """The task's exit code."""
    path, number = Path(arguments[0]), int(arguments[1]) + int(os.environ["SLURM_ARRAY_TASK_ID"])
    for folder in arguments[3::2]:
        own_code.use(Path(folder))
    submission, sweep = Submission.read(path), SweepDirectory(path.parents[1])
    if submission.cancelled:
        return 0
    mine = assigned(submission, sweep, number)
    # Not by its raw number: an array's last task has the array's own, and all of it would be requeued.
    job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    until = end_time(job) or math.inf
    alone = submission.resources.processes == 1
    codes = _crew(mine, submission, until) if alone else [_team(mine, submission, until)]
    if os.environ["SLURM_PROCID"] != "0":
        return max(codes)
    if REQUEUE in codes:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what Slurm answers with
        if requeue(job):
            time.sleep(60)  # Slurm ends this start of the job
    leave_the_job()
    try:
        send_again(sweep, submission.name)
    except OSError as error:  # the disk is full: `resume` sends it
        print(f"more memory: {error}", file=sys.stderr)
    return max(codes)


def leave_the_job() -> None:
    """Forget this job's settings, which sbatch would take for those of the next."""
    for name in [name for name in os.environ if name.startswith("SLURM_") and name != "SLURM_CONF"]:
        del os.environ[name]


def assigned(submission: Submission, sweep: SweepDirectory, number: int) -> list[Assignment]:
    """The runs of a submission in the order in which its task of this number tries them."""
    first = number * submission.runs_per_task * submission.workers_per_task
    threads = int(os.environ.get("SLURM_CPUS_PER_TASK", "1")) // submission.workers_per_task
    asked = Runtime(**submission.runtime)
    runtime = replace(asked, threads=asked.threads or max(1, threads))
    names = [*submission.runs[first:], *submission.runs[:first]]
    return [Assignment(sweep.run(name), runtime, submission.newest.get(name)) for name in names]


def _team(mine: list[Assignment], submission: Submission, until: float) -> int:
    """One process of several that train each run together; the first leads. Returns its exit code."""
    signals = Signals()
    signals.install()
    os.environ.update(
        WORLD_SIZE=os.environ["SLURM_NTASKS"],
        RANK=os.environ["SLURM_PROCID"],
        LOCAL_RANK=os.environ["SLURM_LOCALID"],
        LOCAL_WORLD_SIZE=str(submission.resources.tasks),
        MASTER_ADDR=os.environ["SLURM_LAUNCH_NODE_IPADDR"],  # of the first node, where the first process is
        MASTER_PORT=str(20000 + int(os.environ["SLURM_JOB_ID"]) % 30000),
        TORCHELASTIC_RESTART_COUNT=os.environ.get("SLURM_RESTART_COUNT", "0"),
    )
    team = channel()
    assert team is not None
    if not team.member.leads:
        from taunode.work.follower import follow

        return follow(team)
    code = FAILED
    try:
        together = [replace(one, runtime=team.member.runtime(one.runtime)) for one in mine]
        code = serve(together, signals, submission.runs_per_task, until, team)
    finally:
        team.announce({"over": code})
    return code


def _crew(mine: list[Assignment], submission: Submission, until: float) -> list[int]:
    """Workers side by side, each with its own share first; returns their exit codes."""

    def at_place(place: int, signals: Signals) -> int:
        skip = place * submission.runs_per_task
        own = mine[skip : skip + submission.runs_per_task]
        rest = [one for one in mine if one not in own]
        return serve([*own, *rest], signals, submission.runs_per_task, until)

    rebirths = itertools.count(1)

    def replace_killed(code: int, seconds: float) -> bool:
        return code == -signal.SIGKILL and next(rebirths) <= REBIRTHS

    return Crew(at_place, replace_killed).run(submission.workers_per_task)


def serve(assignments: list[Assignment], signals: Signals, runs: int, until: float, team: Channel | None = None) -> int:
    """Take up to so many of the runs; returns the worker's exit code."""
    allowance = Allowance(runs, until)
    work(assignments, ALSO, signals=signals, channel=team, allowance=allowance)
    taken = [one for one in assignments if str(one.run.path) in allowance.taken]
    states = {one.run.path.name: _state(one.run) for one in taken}
    for name, state in states.items():
        print(f"{name}: {state or 'cannot be read'}", flush=True)
    heard = set(signals.received)
    if heard - {signal.SIGUSR2}:
        return 128 + int(signals.received[-1])  # Slurm knows what it does
    if heard and not taken:
        print("told to stop before a run had begun; hydra.launcher.time may be too short", file=sys.stderr)
        return REQUEUE if int(os.environ.get("SLURM_RESTART_COUNT", "0")) < EARLY else FAILED
    if (heard or allowance.short) and (startable(taken) or (len(taken) < runs and startable(assignments[:runs]))):
        return REQUEUE
    return FAILED if any(state is None or state in BROKEN for state in states.values()) else 0


def _state(run: RunDirectory) -> State | None:
    """The state of a run; None where it cannot be read, or has been removed."""
    try:
        return look(run)[2]
    except Unreadable:
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
