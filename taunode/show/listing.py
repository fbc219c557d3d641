"""All sweeps below a directory, a line each."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from taunode.errors import BadInput, plain
from taunode.runs.directory import SweepDirectory
from taunode.runs.files import Unreadable
from taunode.runs.note import noted
from taunode.runs.observe import look
from taunode.runs.state import State
from taunode.show.status import counts, duration

DEEPEST = 6  # levels below the directory that is searched


def listing(directory: Path, width: int) -> Group | Table:
    """The sweeps, those first in which something happened last.

    Raises:
        BadInput: there is no such directory, or no sweep below it.
    """
    if not directory.is_dir():
        raise BadInput(f"{directory} is not a directory")
    found = sorted(((_touched(sweep), sweep) for sweep in _sweeps(directory)), key=lambda pair: -pair[0])
    if not found:
        raise BadInput(f"{directory}: no sweep in it, nor below it")
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("sweep", no_wrap=True, overflow="ellipsis", min_width=12)
    made.add_column("runs", justify="right", no_wrap=True)
    made.add_column("states", overflow="fold")
    if width >= 80:
        made.add_column("last change", justify="right", no_wrap=True)
    notes = [noted(sweep.path) for _, sweep in found] if width >= 100 else []
    if any(notes):
        made.add_column("note", overflow="fold")
    for place, (touched, sweep) in enumerate(found):
        states = _states(sweep)
        age = [Text(f"{duration(max(0.0, time.time() - touched))} ago")] if width >= 80 else []
        shown = os.path.relpath(sweep.path, directory)
        said = [Text(str(notes[place]))] if any(notes) else []
        made.add_row(Text(plain(shown)), Text(str(len(states))), counts(states), *age, *said)
    return made


def _sweeps(directory: Path) -> Iterator[SweepDirectory]:
    """What has `commands/` and `runs/`; what is in a sweep is not searched, and no link is followed."""
    for path, folders, _ in os.walk(directory):
        if {"commands", "runs"} <= set(folders):
            folders.clear()
            yield SweepDirectory(path)
        elif len(Path(path).relative_to(directory).parts) >= DEEPEST:
            folders.clear()
        else:
            folders[:] = sorted(name for name in folders if name[0] != ".")


def _states(sweep: SweepDirectory) -> list[State | None]:
    states: list[State | None] = []
    try:
        for run in sweep:
            try:
                states.append(look(run)[2])
            except Unreadable:
                states.append(None)
    except Unreadable:
        pass  # `runs/` itself
    return states


def _touched(sweep: SweepDirectory) -> float:
    """When something last happened, in seconds since 1970: a command, a submission, or in a run."""
    places = [sweep.commands, sweep.slurm, sweep.runs]
    with contextlib.suppress(Unreadable):
        places += [run.path for run in sweep]
    seen = []
    for path in places:
        try:
            seen.append(path.lstat().st_mtime)
        except OSError:
            continue
    return max(seen, default=0.0)
