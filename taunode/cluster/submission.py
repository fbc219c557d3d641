"""A submission: which runs a job array was sent for. Written before sbatch is called, so that no kill can lose it.

Its name stands in the comment of its jobs, which is how they are found in the queue.
"""

import contextlib
import functools
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from taunode.cluster.queue import ask_queue
from taunode.cluster.resources import Resources
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.files import Unreadable, read_json, write_json
from taunode.runs.job import Queue
from taunode.runs.observe import look
from taunode.runs.record import FORMAT, Record, Text, convert, now, of_this_format
from taunode.runs.state import Observation, State

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,99}$")]
RunName = Annotated[str, Meta(pattern=r"^[^/\x00]+$", max_length=255)]
Number = Annotated[str, Meta(pattern=r"^[0-9]{1,18}$")]
SPARED = 30.0  # seconds between two questions to squeue


@dataclass(frozen=True)
class Array:
    """Tasks `first` … `first + tasks − 1` of a submission; `job`: their number in Slurm, once it is known; of them
    `parallel` at a time."""

    first: Annotated[int, Meta(ge=0)]
    tasks: Annotated[int, Meta(ge=0)]
    job: Number | None = None
    parallel: Annotated[int, Meta(ge=1)] | None = None


@dataclass
class Submission:
    """One job array or several, with equal resources and runtime settings.

    Attributes:
        name: stands in its jobs' comment.
        runs: the names of the run directories, in the order in which they are handed out to the tasks.
        newest: the newest attempt of those runs that are tried again, or whose owner has gone: a worker may take
            them if that is still their newest.
        runtime: the settings of all of them: a task need not open the records of runs that others execute.
        launcher: the launcher's options, as typed.
        user: who sent it, and to which `cluster`.
        cancelled: somebody has cancelled it; none of its tasks sends anything more.
        refused: what sbatch said when a task asked for more memory for these runs.
    """

    name: Name
    runs: list[RunName]
    newest: dict[str, int]
    runtime: dict[str, Any]
    resources: Resources
    launcher: dict[str, Any]
    runs_per_task: Annotated[int, Meta(ge=1)]
    workers_per_task: Annotated[int, Meta(ge=1)]
    arrays: list[Array] = field(default_factory=list)
    time: Text = field(default_factory=now)
    user: Text | None = None
    cluster: Text | None = None
    cancelled: bool = False
    refused: Text | None = None

    def write(self, sweep: SweepDirectory) -> None:
        write_json(sweep.submission(self.name), {"format": FORMAT, **asdict(self)})

    @classmethod
    def read(cls, path: Path) -> "Submission":
        """
        Raises:
            Unreadable: a newer taunode has written it, or it is none.
        """
        submission = convert(of_this_format(read_json(path), path), cls, path)
        if submission.name != path.stem:
            raise Unreadable(path, f"is called {submission.name} inside")
        if {".", ".."} & set(submission.runs):
            raise Unreadable(path, "names what is no run")
        return submission

    @property
    def seconds(self) -> float:
        """When it was sent, in seconds since 1970."""
        try:
            return datetime.fromisoformat(self.time).timestamp()
        except ValueError:
            return 0.0


def submissions(sweep: SweepDirectory) -> tuple[list[Submission], list[Unreadable]]:
    """The submissions of a sweep in the order in which they were sent, and what is wrong with the others."""
    found, broken = [], []
    for path in sweep.submissions():
        try:
            seen = path.lstat()
            found.append(_read(path, seen.st_mtime_ns, seen.st_size, seen.st_ino))
        except Unreadable as error:
            broken.append(error)
        except FileNotFoundError:
            continue
    return sorted(found, key=lambda one: (one.seconds, one.name)), broken


@functools.lru_cache(maxsize=1024)
def _read(path: Path, *version: int) -> Submission:
    return Submission.read(path)


@dataclass(frozen=True)
class InSlurm:
    """What Slurm has of a sweep.

    Attributes:
        silent: there are submissions, and squeue does not answer: nobody knows what of them is in the queue.
        queue: what squeue has answered.
        queued: the runs that a job in the queue or at work will take → the newest attempts after which it does so
            though the run is broken.
        submissions: all of the sweep, in the order in which they were sent.
        broken: what is wrong with the files of others.
        folder: where the tasks' standard errors are.
    """

    silent: bool = False
    queue: Queue | None = None
    queued: Mapping[str, frozenset[int]] = field(default_factory=dict)
    submissions: tuple[Submission, ...] = ()
    broken: tuple[Unreadable, ...] = ()
    folder: Path | None = None

    @classmethod
    def of(cls, sweep: SweepDirectory) -> "InSlurm":
        """Ask squeue, if anything of the sweep has ever been submitted; not more often than every 30 s."""
        known, broken = submissions(sweep)
        if not known:
            return cls(broken=tuple(broken))
        seen = _asked(sweep, known)
        if seen is None:
            return cls(True, submissions=tuple(known), broken=tuple(broken), folder=sweep.slurm)
        queued: dict[str, frozenset[int]] = {}
        for one in known:
            if not one.cancelled and (one.name in seen.submissions or one.seconds + 1 >= seen.asked):
                for run in one.runs:
                    newest = {one.newest[run]} if run in one.newest else set()
                    queued[run] = queued.get(run, frozenset()) | newest
        return cls(False, seen, queued, tuple(known), tuple(broken), sweep.slurm)

    def look(self, run: RunDirectory) -> tuple[Record, Observation, State]:
        """As `taunode.runs.observe.look`.

        Raises:
            Unreadable: a record of the run is not what it should be.
        """
        return look(run, self.queue, self.queued.get(run.path.name))

    def died_early(self, run: str) -> Path | None:
        """The standard error of the task that was to begin with a run, if it has ended and said something there."""
        last = next((one for one in reversed(self.submissions) if run in one.runs), None)
        if last is None or self.folder is None or run in self.queued:
            return None
        task = last.runs.index(run) // (last.runs_per_task * last.workers_per_task)
        for array in last.arrays:
            if array.job is not None and array.first <= task < array.first + array.tasks:
                path = self.folder / f"{array.job}_{task - array.first}_0_log.err"
                with contextlib.suppress(OSError):
                    return path if path.lstat().st_size else None
        return None

    def refused(self, run: str) -> str | None:
        """What sbatch said when a task asked for more memory for a run; None where it did not, or was accepted."""
        last = next((one for one in reversed(self.submissions) if run in one.runs), None)
        return None if last is None else last.refused


_answers: dict[str, tuple[float, Queue | None]] = {}  # of this process: a sweep's directory → when, and what


def _asked(sweep: SweepDirectory, known: list[Submission]) -> Queue | None:
    place = os.path.realpath(sweep.slurm)
    when, answer = _answers.get(place, (-SPARED, None))
    if time.monotonic() - when >= SPARED:
        when, answer = time.monotonic(), ask_queue(sweep.slurm, [one.name for one in known])
        _answers[place] = when, answer
    return answer


def look_again() -> None:
    """Forget what squeue has said: a signal or a cancellation has changed it."""
    _answers.clear()
