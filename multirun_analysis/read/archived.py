"""Archived: a sweep that `taunode-sweep archive` has written into one file, read as if it were a directory.

It is checked and unpacked once, without weights and checkpoints, into the user's cache, by the digest of its manifest;
there it stays until nobody has read it for a month.
"""

import contextlib
import os
import shutil
import time
from pathlib import Path

from taunode.errors import BadInput
from taunode.runs.manifest import SUFFIX
from taunode.runs.unpack import opened

KEPT = 30 * 86400  # seconds


def directory_of(path: Path) -> Path:
    """Where the files of a sweep are that was given as a directory or as an archive.

    Raises:
        BadInput: an archive is not as it should be, with the reason; or the cache cannot be written to.
    """
    if path.suffix != SUFFIX or not path.is_file():
        return path
    with opened(path) as archive:
        directory = cache() / "archives" / archive.digest
        if not directory.is_dir():
            try:
                archive.unpack(directory, small=True)
            except OSError as error:
                if not directory.is_dir():  # else another process was faster
                    raise BadInput(f"{path}: cannot unpack it into {directory}: {error.strerror}") from None
        with contextlib.suppress(OSError):  # the cache may be someone else's
            os.utime(directory)
            _forget(directory.parent)
    return directory


def _forget(archives: Path) -> None:
    """Remove those that nobody has read for long."""
    for other in archives.iterdir():
        if not other.name.startswith(".") and time.time() - other.lstat().st_mtime > KEPT:  # else it is being written
            shutil.rmtree(other, ignore_errors=True)


def cache() -> Path:
    """Where what was read is kept: in the user's cache directory, never in a sweep, which may be someone else's."""
    return Path(os.environ.get("TAUNODE_CACHE") or "~/.cache/taunode").expanduser() / "analysis"
