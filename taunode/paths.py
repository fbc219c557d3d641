"""A path as a user types it: `~` and `$VAR` stand for what a shell would put there."""

import os
import re
from pathlib import Path

from taunode.errors import BadInput

LONGEST = 255  # bytes of one name, on every file system that we know


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
    longest = max(len(os.fsencode(name)) for name in path.split("/"))
    if longest > LONGEST:
        raise BadInput(f"{key}={str(typed)[:60]}…: a name of {longest} bytes; a file's has at most {LONGEST}")
    return Path(path)
