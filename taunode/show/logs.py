"""What a run prints, as it prints it."""

import sys
import time
from pathlib import Path
from typing import TextIO

from taunode.cluster.submission import InSlurm
from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory, sweep_of
from taunode.runs.files import Missing, read_bytes, read_tail
from taunode.runs.state import State

AT_WORK = frozenset({State.QUEUED, State.RUNNING, State.STALLED})
PART = 2**20  # bytes at a time


def print_log(run: RunDirectory, follow: bool, out: TextIO = sys.stdout, pause: float = 0.5) -> None:
    """Print the log of the newest attempt; with `follow` also what is added, in later attempts too, until it ends.

    Of a run whose task died before it began: what Slurm and the shell said.

    Raises:
        Unreadable: the log is no regular file, or the run cannot be read.
        BadInput: there is nothing to print yet.
    """
    attempt, place = run.attempts(), 0
    sweep = sweep_of(run.path)
    if not attempt and not follow:
        _print_what_slurm_said(run, InSlurm.of(sweep), out)
        return
    while True:
        ended = not follow or InSlurm.of(sweep).look(run)[2] not in AT_WORK
        place = _print_from(run.log(attempt), place, out)
        newest = run.attempts()
        if newest > attempt:
            attempt, place = (attempt + 1 if attempt else newest), 0
        elif ended:
            return
        else:
            time.sleep(pause)


def _print_from(log: Path, place: int, out: TextIO) -> int:
    """Print a log from a place on; returns where it ends now."""
    try:
        while added := read_bytes(log, offset=place, cut=PART):
            _print(added, out)
            place += len(added)
    except Missing:
        pass  # it has not begun to print
    return place


def _print_what_slurm_said(run: RunDirectory, slurm: InSlurm, out: TextIO) -> None:
    said = slurm.died_early(run.path.name)
    if said is None:
        raise BadInput(f"{run.path} has printed nothing yet: nothing has begun with it")
    content = read_tail(said, PART)
    out.write(f"{said}:\n")
    _print(content, out)


def _print(content: bytes, out: TextIO) -> None:
    """As text: a log may hold what steers a terminal; its own lines, tabs and returns stay."""
    text = content.decode(errors="replace")
    out.write("".join(c if c.isprintable() or c in "\n\t\r" else c.encode("unicode_escape").decode() for c in text))
    out.flush()
