"""Submit runs to Slurm: arrays of workers, split as the cluster wants it, through submitit's batch scripts.

submitit's own way is a pickle a task, moved to its name after sbatch has returned: a launcher killed in between would
lose the array, and 1,000 tasks would be 1,000 more files. Our tasks read one file, which is there before sbatch.
"""

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from taunode.cluster.resources import Request, Resources
from taunode.cluster.submission import Array, Submission
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
    """submitit's executor, with our tasks in place of its pickles."""

    def __init__(self, folder: Path, name: str, request: Request, resources: Resources) -> None:
        super().__init__(folder)
        self.update_parameters(
            job_name=name,
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
            array_parallelism=request.options.array_parallelism,
            # srun does not read cpus-per-task from the batch job since Slurm 22.05, and would truncate the logs
            srun_args=[
                "--open-mode=append",
                *([] if resources.cpus is None else [f"--cpus-per-task={resources.cpus}"]),
            ],
            additional_parameters={"requeue": True, **resources.sbatch},
            wckey=None,
        )

    @classmethod
    def affinity(cls) -> int:
        return 2  # texts are made where there is no Slurm, too; `check` looks for its programs

    def _convert_parameters(self, params: dict[str, Any]) -> dict[str, Any]:
        return params  # ours have sbatch's names and units already

    def text(self, array: Array, submission: Path) -> str:
        """The batch script of an array."""
        self.parameters["map_count"] = array.tasks
        return str(self._make_submission_file_text(_command(submission, array), ""))

    def send(self, array: Array, submission: Path) -> str:
        """Call sbatch; returns the job's number.

        Raises:
            Refused: sbatch did not accept it, with its words.
        """
        self.parameters["map_count"] = array.tasks
        try:
            return str(self._submit_command(_command(submission, array)).job_id)
        except (FailedJobError, FailedSubmissionError) as error:
            raise Refused(words_of_sbatch(str(error))) from None


class Refused(Exception):  # noqa: N818 -- the cluster's answer
    """sbatch did not accept an array."""


def _command(submission: Path, array: Array) -> str:
    return shlex.join([sys.executable, "-u", "-m", "taunode.cluster.task", str(submission), str(array.first)])


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
    if any(character in str(root) for character in "%\\\n"):
        raise BadInput(f"{root}: Slurm reads %, \\ and line breaks in the paths of its logs in ways of its own")
    with tempfile.TemporaryDirectory() as folder:
        for resources in kinds:
            script = Path(folder) / "script.sh"
            script.write_text(Arrays(root / "slurm", "taunode", request, resources).text(Array(0, 1), Path("none")))
            done = subprocess.run(["sbatch", "--test-only", str(script)], capture_output=True, text=True, check=False)
            if done.returncode and not PASSING.search(done.stderr):
                raise BadInput(f"sbatch: {words_of_sbatch(done.stderr)}")


def job_name(root: Path) -> str:
    return f"{PLAIN.sub('_', root.name)[:40]}-{uuid.uuid4().hex[:8]}"


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


def submit(
    root: Path,
    wanted: Sequence[Wanted],
    request: Request,
) -> Sent:
    """Send the runs to Slurm, one array or several for each kind of resources.

    Args:
        root: the sweep directory; the runs' directories are there.

    Raises:
        BadInput: the sweep directory cannot be written to.
    """
    sweep, sent = SweepDirectory(root), Sent()
    options = request.options
    share = options.runs_per_task * options.workers_per_task  # of a task
    largest = options.max_array_size or max_array_size() or 1001
    room = free_submissions(request)
    try:
        sweep.slurm.mkdir(parents=True, exist_ok=True)
        for members in kinds(wanted):
            submission = Submission(
                job_name(root),
                [one.run.path.name for one in members],
                {one.run.path.name: one.newest for one in members if one.newest is not None},
                members[0].runtime,
                members[0].resources,
                request.values,
                options.runs_per_task,
                options.workers_per_task,
            )
            accepted = _send(sweep, submission, request, split(math.ceil(len(members) / share), largest), room, sent)
            room = None if room is None else room - accepted
            covered = min(len(members), accepted * share)
            sent.runs, sent.left = sent.runs + covered, sent.left + len(members) - covered
            submission.runs = submission.runs[:covered]
            submission.write(sweep)
    except OSError as error:
        raise BadInput(f"cannot write to {sweep.slurm}: {error.strerror}") from None
    return sent


def _send(
    sweep: SweepDirectory, submission: Submission, request: Request, arrays: list[Array], room: int | None, sent: Sent
) -> int:
    """Send a submission's arrays until one is refused; returns how many tasks were accepted."""
    submission.write(sweep)
    executor = Arrays(sweep.slurm, submission.name, request, submission.resources)
    accepted = 0
    for array in arrays:
        if room is not None and room - accepted < array.tasks:
            array = Array(array.first, max(0, room - accepted))
            sent.refusals.append(f"the limit of submitted jobs has room for {max(0, room)} tasks")
        if array.tasks:
            try:
                job = executor.send(array, sweep.submission(submission.name))
            except Refused as refused:
                sent.refusals.append(f"sbatch: {refused}")
                break
            accepted += array.tasks
            submission.arrays.append(Array(array.first, array.tasks, job))
            sent.jobs.append((job, array.tasks))
        if array not in arrays:
            break
    return accepted


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def max_array_size() -> int | None:
    """The highest number of tasks in an array."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"))
    return int(found[1]) if found else None


def free_submissions(request: Request) -> int | None:
    """How many tasks the user may still submit; None where no limit is known."""
    user = os.environ.get("USER") or _ask("id", "-un").strip()
    limit = request.options.max_submit_jobs
    if limit is None:
        text = _ask("sacctmgr", "-nP", "show", "assoc", f"user={user}", "format=account,maxsubmitjobs")
        rows = [line.split("|") for line in text.splitlines()]
        account = request.base.account
        limits = [int(most) for name, most in rows if most.isdigit() and account in (None, name)]
        limit = min(limits, default=None)
    if limit is None:
        return None
    return max(0, limit - len(_ask("squeue", "--noheader", "--array", f"--user={user}", "--format=%A").split()))
