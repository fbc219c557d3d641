"""Failures: the runs that ended without a result, with what they printed last."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from multirun_analysis.read.sweep import Sweep
from multirun_analysis.report.tail import tail
from taunode.errors import BadInput, plain
from taunode.runs.directory import RunDirectory
from taunode.runs.state import BROKEN

SHOWN = 100  # runs whose logs are shown; the others are in the table of runs


@dataclass(frozen=True)
class Failure:
    """A run that failed.

    Attributes:
        end: how its last attempt ended, in one line.
        files: (name, last lines) of its traceback and its log.
    """

    run: str
    state: str
    attempts: int
    end: str
    files: tuple[tuple[str, str], ...]


def failures(sweep: Sweep) -> list[Failure]:
    """The first `SHOWN` of the runs that are failed, out of memory, cancelled or timed out."""
    broken = sweep.runs[sweep.runs["state"].isin([state.value for state in BROKEN])].head(SHOWN)
    return [_failure(*row) for row in broken[["run", "path", "state"]].itertuples(index=False)]


def _failure(name: str, path: str, state: str) -> Failure:
    run = RunDirectory(path)
    try:
        attempts, ends = run.attempts(), [attempt.get("end") for attempt in run.read_record().attempts]
    except (BadInput, OSError):  # it could be read when the sweep was
        return Failure(name, state, 0, "its record cannot be read any more", ())
    files = tuple((file.name, lines) for file, lines in tails(run, attempts))
    return Failure(name, state, attempts, plain(str(ends[-1])) if ends and ends[-1] else "", files)


def tails(run: RunDirectory, attempt: int) -> Iterator[tuple[Path, str]]:
    """The traceback of an attempt and its log, each with its last lines, if there are any."""
    for file in (run.error(attempt), run.log(attempt)):
        if lines := tail(file):
            yield file, lines
