"""A lock file that leaves nothing behind where the work that it guards fails."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, made with its folders; other processes wait.

    Where the work inside fails, what was made here is removed again, so that a refused command changes nothing.
    """
    missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    is_new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path):
            yield
    except BaseException:
        if is_new:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else has put something there
            for folder in missing:
                folder.rmdir()
        raise
