"""Where a command may write: into a new directory, an empty one, or one that taunode has made.

Nothing of the user's is overwritten. A directory that was being made when its command was killed is ours as well.
"""

import os
import re
from pathlib import Path

from taunode.errors import BadInput
from taunode.paths import resolved
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.files import Unreadable, read_yaml
from taunode.runs.record import NewerFormat, of_this_format

_COMMAND = r"\d{8}-\d{6}-[0-9a-f]{6}\.yaml"
# What `taunode.runs.files.aside` calls a file of ours, or a run's directory, that is being written.
ASIDE = re.compile(
    rf"\.(config\.yaml|run\.json|report\.html|{_COMMAND}|patch-[0-9a-f]+\.diff|.+-[0-9a-f]{{8}}(\.json|\.memory\.\d+)?)"
    r"\.[0-9a-f]{8}"
)


def check_sweep(root: Path, key: str = "hydra.sweep.dir") -> None:
    """Refuse a directory that no sweep may be written into.

    Raises:
        BadInput: it is a file, a run's directory, the user's home, or holds what is not taunode's.
    """
    if not _is_there(root, key):
        return
    if os.path.lexists(RunDirectory(root).record):
        raise BadInput(f"{root} is a run directory; a sweep needs another {key}")
    sweep = SweepDirectory(root)
    for part in (sweep.commands, sweep.slurm, sweep.runs):
        if part.is_symlink():
            raise BadInput(f"{part} is a symbolic link; a sweep's files lie in its own directory")
    names = _names(root)
    is_ours = (
        (_has_command(sweep) and RunDirectory(root).config.name not in names)  # else a single run was being made
        or _has_run(sweep)
        or (
            names <= {"multirun.yaml", "commands", "slurm", "runs"}
            and all(_is_empty(part) for part in (sweep.commands, sweep.slurm, sweep.runs))
            and ("multirun.yaml" not in names or _is_hydras(root / "multirun.yaml"))
        )
    )
    if names and not is_ours:
        raise BadInput(f"{_not_ours(root, names)} is no sweep of taunode; choose another {key}")


def check_run(directory: Path, key: str = "hydra.run.dir") -> None:
    """Refuse a directory without a run's record that no run may be written into.

    Raises:
        BadInput: it is a file, a sweep's directory, the user's home, or holds what is not taunode's.
    """
    if not _is_there(directory, key):
        return
    sweep = SweepDirectory(directory)
    if sweep.commands.is_symlink():
        raise BadInput(f"{sweep.commands} is a symbolic link; a run's files lie in its own directory")
    names = _names(directory)
    if names <= {"commands"} and _is_empty(sweep.commands):
        return
    if _has_command(sweep):
        if sweep.runs.is_dir():
            raise BadInput(f"{directory} is a sweep directory; a single run needs another {key}")
        if names <= {"commands", "config.yaml"}:
            return
    raise BadInput(f"{_not_ours(directory, names)} is no run of taunode; choose another {key}")


def _is_there(directory: Path, key: str) -> bool:
    """Whether a directory exists, and is one that could be ours."""
    for special, name in ((Path.home(), "your home"), (Path(directory.anchor), "the root")):
        if resolved(directory) == special.resolve():
            raise BadInput(f"{directory} is {name} directory; choose another {key}")
    if not directory.is_dir():
        if os.path.lexists(directory):
            raise BadInput(f"{directory} is not a directory")
        return False
    return True


def _names(directory: Path) -> set[str]:
    """What is in a directory, but for locks and for files that were being written."""
    try:
        return {name for name in os.listdir(directory) if not ASIDE.fullmatch(name) and name != ".lock"}
    except OSError as error:
        raise BadInput(f"{directory}: {error.strerror}") from None


def _is_empty(directory: Path) -> bool:
    return not os.path.lexists(directory) or (directory.is_dir() and not _names(directory))


def _has_command(sweep: SweepDirectory) -> bool:
    """Whether a command of ours has written into a directory."""
    return any(_is_command(path) for path in sorted(sweep.commands.glob("*.yaml")) if re.fullmatch(_COMMAND, path.name))


def _has_run(sweep: SweepDirectory) -> bool:
    """Whether a directory holds a run; somebody has removed `commands/` then."""
    for run in sweep:
        try:
            run.read_record()
        except Unreadable:
            continue
        return True
    return False


def _is_command(path: Path) -> bool:
    """Whether a file is the record of a command; also of a newer taunode's."""
    try:
        of_this_format(read_yaml(path), path)
    except NewerFormat:
        return True
    except Unreadable:
        return False
    return True


def _is_hydras(path: Path) -> bool:
    """Whether a file is what Hydra's sweepers write for this program before they hand its jobs over."""
    try:
        config = read_yaml(path)
        return bool(config["hydra"]["job"]["name"] == "taunode")
    except (Unreadable, KeyError, TypeError):
        return False


def _not_ours(directory: Path, names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:3]) + (", …" if len(names) > 3 else "")
    return f"{directory} holds {shown} and"
