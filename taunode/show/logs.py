"""What a run prints, as it prints it."""

import sys
import time
from typing import TextIO

from taunode.cluster.submission import InSlurm, sweep_of
from taunode.runs.directory import RunDirectory
from taunode.runs.observe import look
from taunode.runs.state import State

AT_WORK = frozenset({State.QUEUED, State.RUNNING, State.STALLED})


def print_log(run: RunDirectory, follow: bool, out: TextIO = sys.stdout, pause: float = 0.5) -> None:
    """Print the log of the newest attempt; with `follow` also what is added, in later attempts too, until it ends."""
    attempt, place = run.attempts(), 0
    while True:
        ended = not follow or not _goes_on(run)
        place = _print_from(run, attempt, place, out)
        newest = run.attempts()
        if newest > attempt:
            attempt, place = (attempt + 1 if attempt else newest), 0
        elif ended:
            return
        else:
            time.sleep(pause)


def _print_from(run: RunDirectory, attempt: int, place: int, out: TextIO) -> int:
    try:
        with open(run.log(attempt), "rb") as file:
            file.seek(place)
            added = file.read()
    except FileNotFoundError:
        return place
    out.write(added.decode(errors="replace"))
    out.flush()
    return place + len(added)


def _goes_on(run: RunDirectory) -> bool:
    slurm = InSlurm.of(sweep_of(run.path))
    return look(run, slurm.queue, run.path.name in slurm.queued)[2] in AT_WORK
