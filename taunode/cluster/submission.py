"""A submission: which runs a job array was sent for. Written before sbatch is called, so that no kill can lose it.

A submission's name is its jobs' name in Slurm, which is how its tasks are found in the queue.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from taunode.cluster.queue import queue
from taunode.cluster.resources import Resources
from taunode.errors import BadInput
from taunode.runs.claim import now
from taunode.runs.directory import FORMAT, NewerFormat, SweepDirectory, write_json
from taunode.runs.job import Queue


@dataclass(frozen=True)
class Array:
    """Tasks `first` … `first + tasks − 1` of a submission; `job`: their number in Slurm, once it is known."""

    first: int
    tasks: int
    job: str | None = None


@dataclass
class Submission:
    """One job array or several, with equal resources and runtime settings.

    Attributes:
        name: of its jobs in Slurm.
        runs: the names of the run directories, in the order in which they are handed out to the tasks.
        newest: the newest attempt of those runs that are tried again, or whose owner has gone: a worker may take
            them if that is still their newest.
        runtime: the settings of all of them: a task need not open the records of runs that others execute.
        launcher: the launcher's options, as typed.
    """

    name: str
    runs: list[str]
    newest: dict[str, int]
    runtime: dict[str, Any]
    resources: Resources
    launcher: dict[str, Any]
    runs_per_task: int
    workers_per_task: int
    arrays: list[Array] = field(default_factory=list)
    time: str = field(default_factory=now)

    def write(self, sweep: SweepDirectory) -> None:
        write_json(sweep.submission(self.name), {"format": FORMAT, **asdict(self)})

    @classmethod
    def read(cls, path: Path) -> "Submission":
        """
        Raises:
            BadInput: a newer taunode has written it, or it is none.
        """
        try:
            values: Mapping[str, Any] = json.loads(path.read_bytes())
            if values["format"] > FORMAT:
                raise NewerFormat(f"{path} was written by a newer taunode (format {values['format']})")
            rest = {key: value for key, value in values.items() if key not in ("format", "resources", "arrays")}
            arrays = [Array(**array) for array in values["arrays"]]
            return cls(resources=Resources(**values["resources"]), arrays=arrays, **rest)
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise BadInput(f"{path}: not a submission ({error})") from None


@dataclass(frozen=True)
class InSlurm:
    """What Slurm has of a sweep: its queue (null where squeue does not answer), and the runs that are queued."""

    queue: Queue | None = None
    queued: frozenset[str] = frozenset()

    @classmethod
    def of(cls, sweep: SweepDirectory) -> "InSlurm":
        """Ask squeue, if anything of the sweep has ever been submitted."""
        submissions = [Submission.read(path) for path in sweep.submissions()]
        seen = queue([submission.name for submission in submissions])
        if seen is None:
            return cls()
        return cls(seen, frozenset(run for one in submissions if one.name in seen.names for run in one.runs))


def sweep_of(path: Path) -> SweepDirectory:
    """The sweep of a path that is a sweep directory, or a run's directory inside of one."""
    path = path.resolve()
    return SweepDirectory(path.parents[1] if path.parent.name == "runs" else path)
