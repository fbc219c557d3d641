"""A task of a Slurm array: workers that take their share of a submission's runs. What srun starts on the node.

    python -m taunode.launch.task SUBMISSION FIRST

It takes the runs at its own place in the list first, then any that are left. Before the time limit Slurm sends
SIGUSR2: the runs save themselves, and the job is requeued if it can go on. The exit code is 1 if one of its runs has
failed, so that Slurm says FAILED.
"""

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from taunode.launch.local import startable
from taunode.launch.submission import Submission
from taunode.orphan import die_with
from taunode.runs.allowance import Allowance
from taunode.runs.claim import look
from taunode.runs.directory import SweepDirectory
from taunode.runs.member import Channel, channel
from taunode.runs.runtime import Runtime
from taunode.runs.slurm import end_time
from taunode.runs.state import BROKEN, State
from taunode.runs.worker import STOPPING, Signals, Task, work

ALSO = BROKEN | {State.RUNNING, State.STALLED}  # of tasks that carry `newest`
FAILED, GOES_ON = 1, 75  # exit codes of a worker; 75 is EX_TEMPFAIL: the job should be requeued
EARLY = 10  # starts of a job, until one that ends before a run has begun is the last
REBIRTHS = 3  # workers that were killed, until no more are started in their place


def main(arguments: Sequence[str]) -> int:
    """The task's exit code."""
    path, number = Path(arguments[0]), int(arguments[1]) + int(os.environ["SLURM_ARRAY_TASK_ID"])
    submission = Submission.read(path)
    tasks = tasks_of(submission, SweepDirectory(path.parents[1]), number)
    # Not by its raw number: an array's last task has the array's own, and all of it would be requeued.
    job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    until = end_time(job) or math.inf
    alone = submission.resources.processes == 1
    codes = _crew(tasks, submission, until) if alone else [_team(tasks, submission, until)]
    if GOES_ON in codes and os.environ["SLURM_PROCID"] == "0":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what Slurm answers with
        asked = subprocess.run(["scontrol", "requeue", job], check=False)
        if asked.returncode == 0:
            time.sleep(60)  # Slurm ends this start of the job
    return max(codes)


def tasks_of(submission: Submission, sweep: SweepDirectory, number: int) -> list[Task]:
    """The runs of a submission in the order in which its task of this number tries them."""
    first = number * submission.runs_per_task * submission.workers_per_task
    threads = int(os.environ.get("SLURM_CPUS_PER_TASK", "1")) // submission.workers_per_task
    asked = Runtime(**submission.runtime)
    runtime = replace(asked, threads=asked.threads or max(1, threads))
    names = [*submission.runs[first:], *submission.runs[:first]]
    return [Task(sweep.run(name), runtime, submission.newest.get(name)) for name in names]


def _team(tasks: list[Task], submission: Submission, until: float) -> int:
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
        from taunode.runs.follower import follow

        return follow(team)
    code = FAILED
    try:
        together = [replace(task, runtime=team.member.runtime(task.runtime)) for task in tasks]
        code = serve(together, signals, submission.runs_per_task, until, team)
    finally:
        team.announce({"over": code})
    return code


def _crew(tasks: list[Task], submission: Submission, until: float) -> list[int]:
    """Fork the workers and wait for them; returns their exit codes."""
    received: list[int] = []
    pids: dict[int, int] = {}

    def hear(number: int, frame: object) -> None:
        received.append(number)
        for pid in pids:  # Slurm tells every process, scancel --batch and a person only this one
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, number)

    for number in STOPPING:
        signal.signal(number, hear)  # before torch is imported, which takes a while

    import taunode.runs.execute  # noqa: F401 -- torch, once: the workers and their children are forks of this

    def start(place: int) -> None:
        sys.stdout.flush()
        parent = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        pid = os.fork()
        if pid == 0:
            signals = Signals([signal.Signals(number) for number in received])  # heard while torch was imported
            _be_a_worker(tasks, submission, until, place, parent, signals)
        pids[pid] = place
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    codes, reborn = [], 0
    for place in range(submission.workers_per_task):
        start(place)
    while pids:
        pid, status = os.waitpid(-1, 0)
        place, code = pids.pop(pid), os.waitstatus_to_exitcode(status)
        if code == -signal.SIGKILL and not received and reborn < REBIRTHS:
            reborn += 1
            start(place)
        else:
            codes.append(code if code >= 0 else 128 - code)
    return codes


def _be_a_worker(
    tasks: list[Task], submission: Submission, until: float, place: int, parent: int, signals: Signals
) -> None:
    """Everything a worker process does; it never returns."""
    code = FAILED
    try:
        signals.install()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        die_with(parent, signal.SIGTERM)
        skip = place * submission.runs_per_task
        own, rest = tasks[skip : skip + submission.runs_per_task], tasks
        code = serve([*own, *(task for task in rest if task not in own)], signals, submission.runs_per_task, until)
    except Exception:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve(tasks: list[Task], signals: Signals, runs: int, until: float, team: Channel | None = None) -> int:
    """Take up to so many of the runs; returns the worker's exit code."""
    allowance = Allowance(runs, until)
    work(tasks, ALSO, signals=signals, channel=team, allowance=allowance)
    mine = [task for task in tasks if str(task.run.path) in allowance.taken]
    for task in mine:
        record, _, state = look(task.run)
        print(f"{record.name}: {state}", flush=True)
    heard = set(signals.received)
    if heard - {signal.SIGUSR2}:
        return 128 + int(signals.received[-1])  # Slurm knows what it does
    if heard and not mine:
        print("told to stop before a run had begun; hydra.launcher.time may be too short", file=sys.stderr)
        return GOES_ON if int(os.environ.get("SLURM_RESTART_COUNT", "0")) < EARLY else FAILED
    if (heard or allowance.short) and (startable(mine) or (len(mine) < runs and startable(tasks[:runs]))):
        return GOES_ON
    return FAILED if any(look(task.run)[2] in BROKEN for task in mine) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
