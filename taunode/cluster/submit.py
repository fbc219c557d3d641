"""Submit runs to Slurm: arrays of workers, split as the cluster wants it, through submitit's batch scripts.

submitit's own way is a pickle a task, moved to its name after sbatch has returned: a launcher killed in between would
lose the array, and 1,000 tasks would be 1,000 more files. Our tasks read one file, which is there before sbatch.
"""

import math
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from taunode import own_code
from taunode.cluster.queue import cluster_name, free_submissions, max_array_size, user
from taunode.cluster.resources import Request, Resources
from taunode.cluster.submission import Array, Submission, look_again
from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory, SweepDirectory

PASSING = re.compile(r"Required node not available|DOWN, DRAINED|busy", re.IGNORECASE)  # no fault of the user's
PLAIN = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True)
class Wanted:
    """A run to be submitted, what it gets, and with which runtime settings; `newest` as in `Submission`."""

    run: RunDirectory
    resources: Resources
    runtime: dict[str, Any] = field(default_factory=dict)
    newest: int | None = None


@dataclass
class Sent:
    """What became of a command's submissions: jobs with their number of tasks, and why sbatch refused others."""

    runs: int = 0
    jobs: list[tuple[str, int]] = field(default_factory=list)
    left: int = 0
    refusals: list[str] = field(default_factory=list)


class Arrays(submitit.SlurmExecutor):
    """submitit's executor, with our tasks in place of its pickles.

    Args:
        folder: where the batch scripts and the logs of the tasks go.
        submission: the name that the jobs' comment carries.
    """

    def __init__(self, folder: Path, submission: str, request: Request, resources: Resources) -> None:
        super().__init__(folder)
        comment = f"{resources.sbatch.get('comment', '')} taunode={submission}".strip()
        self.update_parameters(
            time=resources.time,
            partition=resources.partition,
            account=resources.account,
            qos=resources.qos,
            constraint=resources.constraint,
            gres=resources.gres,
            gpus_per_node=resources.gpus,
            cpus_per_task=resources.cpus,
            mem=None if resources.memory is None else str(resources.memory),
            nodes=resources.nodes,
            ntasks_per_node=resources.tasks,
            signal_delay_s=request.options.signal_seconds,
            setup=request.options.setup or None,
            # srun does not read cpus-per-task from the batch job since Slurm 22.05, and would truncate the logs
            srun_args=[
                "--open-mode=append",
                *([] if resources.cpus is None else [f"--cpus-per-task={resources.cpus}"]),
            ],
            additional_parameters={"requeue": True, **resources.sbatch, "comment": comment},
            wckey=None,
        )

    @classmethod
    def affinity(cls) -> int:
        return 2  # texts are made where there is no Slurm, too; `check` looks for its programs

    def _convert_parameters(self, params: dict[str, Any]) -> dict[str, Any]:
        return params  # ours have sbatch's names and units already

    def _choose(self, array: Array, name: str, after: str | None = None) -> None:
        parallel = array.parallel or array.tasks
        self.parameters |= {"map_count": array.tasks, "array_parallelism": parallel, "job_name": name}
        self.parameters["dependency"] = None if after is None else f"afterany:{after}"

    def text(self, array: Array, submission: Path, name: str) -> str:
        """The batch script of an array; `name`: what squeue shows."""
        self._choose(array, name)
        return str(self._make_submission_file_text(_command(submission, array), ""))

    def send(self, array: Array, submission: Path, name: str, after: str | None = None) -> str:
        """Call sbatch; returns the job's number.

        Args:
            after: the number of a job that must have ended before this one begins.

        Raises:
            Refused: sbatch did not accept it, with its words.
        """
        self._choose(array, name, after)
        try:
            return str(self._submit_command(_command(submission, array)).job_id)
        except (FailedJobError, FailedSubmissionError) as error:
            raise Refused(words_of_sbatch(str(error))) from None


class Refused(Exception):  # noqa: N818 -- the cluster's answer
    """sbatch did not accept an array."""


def _command(submission: Path, array: Array) -> str:
    own = [part for folder in own_code.folders() for part in ("--config-dir", str(folder))]  # this user's, in no file
    python = [sys.executable, "-P", "-u"]  # -P: no module of the directory in which sbatch was called
    return shlex.join([*python, "-m", "taunode.cluster.task", str(submission), str(array.first), *own])


def words_of_sbatch(text: str) -> str:
    """sbatch's own words, without the program's name before each."""
    lines = re.findall(r"sbatch: (?:error: )?(.*)", text)
    said = [line for line in lines if "will be ignored" not in line]
    return "; ".join(said) or " ".join(text.split())[-300:]


def check(root: Path, kinds: Sequence[Resources], request: Request) -> None:
    """Refuse what Slurm would refuse, before anything is written.

    Raises:
        BadInput: there is no sbatch here; sbatch does not accept the options (in its words).
    """
    missing = [name for name in ("sbatch", "srun", "squeue", "scontrol") if shutil.which(name) is None]
    if missing:
        raise BadInput(
            f"hydra/launcher=slurm: no {', '.join(missing)} here; submit from a node of the cluster "
            "(or go on here: taunode-sweep resume --here)"
        )
    if (ours := SweepDirectory(root).slurm).is_symlink():
        raise BadInput(f"{ours} is a symbolic link; a sweep's files lie in its own directory")
    if any(character in str(root) for character in "%\\\n"):
        raise BadInput(f"{root}: Slurm reads %, \\ and line breaks in the paths of its logs in ways of its own")
    with tempfile.TemporaryDirectory() as folder:
        for resources in kinds:
            script = Path(folder) / "script.sh"
            script.write_text(
                Arrays(root / "slurm", "taunode", request, resources).text(Array(0, 1), Path("none"), "taunode")
            )
            done = subprocess.run(["sbatch", "--test-only", str(script)], capture_output=True, text=True, check=False)
            if done.returncode and not PASSING.search(done.stderr):
                raise BadInput(f"sbatch: {words_of_sbatch(done.stderr)}")


def submission_name(root: Path) -> str:
    return f"{PLAIN.sub('_', root.name)[:40].lstrip('.')}-{uuid.uuid4().hex[:8]}"


def job_name(root: Path, share: Sequence[str], first: int, runs: int) -> str:
    """What squeue shows: the run; or the sweep, and which of the command's runs these are.

    Args:
        share: the names of the runs of the array.
        first: the place of the first among all that are sent.
        runs: how many are sent.
    """
    if len(share) == 1:
        return PLAIN.sub("_", share[0])[:80]
    return f"{PLAIN.sub('_', root.name)[:60]}_{first + 1}-{first + len(share)}of{runs}"


def kinds(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    """The runs in groups that get the same, in the order in which the first of each was planned."""
    found: list[list[Wanted]] = []
    for one in wanted:
        for members in found:
            if (members[0].resources, members[0].runtime) == (one.resources, one.runtime):
                members.append(one)
                break
        else:
            found.append([one])
    return found


def split(tasks: int, largest: int) -> list[Array]:
    """Arrays of at most `largest` tasks each: Slurm limits the index, not the count."""
    return [Array(first, min(largest, tasks - first)) for first in range(0, tasks, largest)]


def throttled(arrays: Sequence[Array], most: int) -> tuple[list[Array], int]:
    """The arrays with the number of their tasks that may work at a time, so that of all together `most` do.

    Returns:
        Beside them: how many arrays may work at a time. Where they are more than `most`, each begins after another.
    """
    if sum(array.tasks for array in arrays) <= most:
        return [replace(array, parallel=array.tasks) for array in arrays], len(arrays)
    if len(arrays) > most:
        return [replace(array, parallel=1) for array in arrays], most
    shares = [1] * len(arrays)
    for _ in range(most - len(arrays)):  # one by one to the array whose share is least for its size
        open_ = [index for index, array in enumerate(arrays) if shares[index] < array.tasks]
        shares[min(open_, key=lambda index: shares[index] / arrays[index].tasks)] += 1
    return [replace(array, parallel=share) for array, share in zip(arrays, shares, strict=True)], len(arrays)


def divided(wanted: Sequence[Wanted], request: Request) -> tuple[list[tuple[list[Wanted], list[Array]]], int]:
    """The runs of each kind of resources with their arrays, and how many of all arrays may work at a time."""
    options = request.options
    share = options.runs_per_task * options.workers_per_task  # of a task
    largest = options.max_array_size or max_array_size() or 1001
    groups = [(members, split(math.ceil(len(members) / share), largest)) for members in kinds(wanted)]
    arrays, lanes = throttled([array for _, arrays in groups for array in arrays], options.array_parallelism)
    rest = iter(arrays)
    return [(members, [next(rest) for _ in arrays]) for members, arrays in groups], lanes


def submit(root: Path, wanted: Sequence[Wanted], request: Request) -> Sent:
    """Send the runs to Slurm, one array or several for each kind of resources.

    Args:
        root: the sweep directory; the runs' directories are there.

    Raises:
        BadInput: the sweep directory cannot be written to.
    """
    sweep, sent = SweepDirectory(root), Sent()
    options = request.options
    share = options.runs_per_task * options.workers_per_task
    groups, lanes = divided(wanted, request)
    room = free_submissions(options.max_submit_jobs, request.base.account)
    sending = _Sending(sweep, request, room, lanes, len(wanted))
    try:
        sweep.slurm.mkdir(parents=True, exist_ok=True)
        for members, arrays in groups:
            submission = Submission(
                submission_name(root),
                [one.run.path.name for one in members],
                {one.run.path.name: one.newest for one in members if one.newest is not None},
                members[0].runtime,
                members[0].resources,
                request.values,
                options.runs_per_task,
                options.workers_per_task,
                user=user(),
                cluster=cluster_name(),
            )
            covered = min(len(members), sending.send(submission, arrays, sent) * share)
            sent.runs, sent.left = sent.runs + covered, sent.left + len(members) - covered
            submission.runs = submission.runs[:covered]
            submission.write(sweep)
    except OSError as error:
        raise BadInput(f"cannot write to {sweep.slurm}: {error.strerror}") from None
    look_again()
    return sent


@dataclass
class _Sending:
    """The arrays of one command, on their way to Slurm.

    Attributes:
        room: how many tasks the user may still submit.
        lanes: how many arrays may work at a time: array n begins after array n − lanes.
        runs: of the command.
    """

    sweep: SweepDirectory
    request: Request
    room: int | None
    lanes: int
    runs: int
    jobs: list[str] = field(default_factory=list)
    named: int = 0

    def send(self, submission: Submission, arrays: list[Array], sent: Sent) -> int:
        """Send a submission's arrays until one is refused; returns how many tasks were accepted."""
        submission.write(self.sweep)
        executor = Arrays(self.sweep.slurm, submission.name, self.request, submission.resources)
        share = submission.runs_per_task * submission.workers_per_task
        accepted = 0
        for array in arrays:
            full = self.room is not None and self.room < array.tasks
            if full:
                sent.refusals.append(f"the limit of submitted jobs has room for {self.room} tasks")
                array = replace(array, tasks=self.room or 0)
            if array.tasks:
                names = submission.runs[array.first * share : (array.first + array.tasks) * share]
                name = job_name(self.sweep.path, names, self.named, self.runs)
                after = self.jobs[-self.lanes] if len(self.jobs) >= self.lanes else None
                try:
                    job = executor.send(array, self.sweep.submission(submission.name), name, after)
                except Refused as refused:
                    sent.refusals.append(f"sbatch: {refused}")
                    break
                self.jobs.append(job)
                self.named += len(names)
                accepted += array.tasks
                self.room = None if self.room is None else self.room - array.tasks
                submission.arrays.append(replace(array, job=job))
                sent.jobs.append((job, array.tasks))
            if full:
                break
        return accepted
