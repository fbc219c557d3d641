"""A path as a user types it: `~` and `$VAR` stand for what a shell would put there."""

import os
import re
from pathlib import Path

from taunode.errors import BadInput

LONGEST = 255  # bytes of one name, on every file system that we know


def resolved(path: Path) -> Path:
    """Where a path leads, absolute.

    Raises:
        BadInput: its links lead in a circle.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # Python's word for it before 3.13
        raise BadInput(f"{path}: its symbolic links lead in a circle") from None


def expanded(typed: str | Path, key: str) -> Path:
    """The path that was meant, relative to where it was typed if it is not absolute.

    Args:
        key: what to call it in a message: an option, or an argument of a command.

    Raises:
        BadInput: a variable that is not set, a user that is not there, a name that no file can have.
    """
    text = os.path.expandvars(os.fspath(typed))
    if unset := re.search(r"\$(\w+|\{[^}]*\})", text):
        raise BadInput(f"{key}={typed}: {unset[0]} is not set")
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise BadInput(f"{key}={typed}: there is no user {path.partition('/')[0][1:]!r}")
    if "\0" in path:
        raise BadInput(f"{key}: a path cannot hold a zero byte, got {str(typed)!r}")
    if not is_utf8(path):  # no record could hold it
        raise BadInput(f"{key}: a path of taunode's is UTF-8, got {typed!s}")
    longest = max(len(os.fsencode(name)) for name in path.split("/"))
    if longest > LONGEST:
        raise BadInput(f"{key}={str(typed)[:60]}…: a name of {longest} bytes; a file's has at most {LONGEST}")
    return Path(path)


def placed(typed: str | Path, key: str) -> Path:
    """`expanded`, absolute, for a directory that is to be written into: where it leads if it is a link.

    Raises:
        BadInput: as `expanded`; its links lead in a circle; or it lies in a directory whose name is not UTF-8.
    """
    path = expanded(typed, key).absolute()
    if not is_utf8(str(path)):
        raise BadInput(f"{key}={typed}: {path}: a directory of taunode's has a name in UTF-8")
    return resolved(path) if path.is_symlink() else path


def is_utf8(path: str) -> bool:
    """Whether a path can stand in a record or a table; a file's name may be any bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
