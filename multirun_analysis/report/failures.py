"""Failures: the runs that ended without a result, with what they printed last."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from multirun_analysis.read.sweep import Sweep
from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory
from taunode.runs.files import Unreadable, read_tail
from taunode.runs.state import BROKEN

LINES, BYTES = 30, 6000  # of a log's end
SHOWN = 100  # runs whose logs are shown; the others are in the table of runs
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # colours and cursor movements of a terminal
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


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
    files = tuple((file.name, lines) for file, lines in _tails(run, attempts))
    return Failure(name, state, attempts, str(ends[-1]) if ends and ends[-1] else "", files)


def _tails(run: RunDirectory, attempt: int) -> Iterator[tuple[Path, str]]:
    for file in (run.error(attempt), run.log(attempt)):
        if lines := tail(file):
            yield file, lines


def tail(path: Path) -> str:
    """The last lines of a text, without what would steer a terminal; nothing if there is no such file."""
    try:
        text = read_tail(path, BYTES).decode(errors="replace")
    except (Unreadable, OSError):
        return ""
    if len(text) == BYTES:  # its first line is not whole
        text = text.partition("\n")[2] or text
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in ESCAPES.sub("", text).rstrip().split("\n"))
    return "\n".join(CONTROLS.sub("�", line) for line in list(lines)[-LINES:])
