"""Slots: the processors (or GPUs) of this machine, which the workers of all of a user's commands take in turn.

Two commands that are started side by side would otherwise train twice as many runs at a time as there is room for.
A slot is a locked file in a directory for temporary files, so that it is free again however its holder ends.
"""

import contextlib
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PAUSE = 0.1  # seconds between two looks for a free slot


def processor_slots() -> list[str]:
    """One for each processor that this process may use."""
    numbers = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return [f"cpu{number}" for number in sorted(numbers)]


@dataclass
class Slots:
    """Where a worker waits until there is room for a run.

    Attributes:
        names: of the slots that it may take.
        need: how many a run takes.
    """

    names: Sequence[str]
    need: int = 1
    _held: list[int] = field(default_factory=list)

    def try_to_take(self) -> bool:
        """Take what a run needs, all or nothing; true where there is no place for such files."""
        folder = _folder()
        if folder is None or self._held:
            return True
        need = min(self.need, len(self.names))
        with _locked(folder / "gate"):  # one at a time looks, so that two do not wait for each other's half
            for name in self.names:
                if len(self._held) < need and (slot := _lock(folder / name)) is not None:
                    self._held.append(slot)
            if len(self._held) < need:
                self.give_back()
                return False
        return True

    def give_back(self) -> None:
        """Let others have them; who waits comes first."""
        held = bool(self._held)
        for slot in self._held:
            os.close(slot)
        self._held.clear()
        if held and (folder := _folder()) is not None and (free := _lock(folder / "waiting")) is not None:
            os.close(free)
        elif held:
            time.sleep(3 * PAUSE)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While a worker waits: the others see it, and let it come in between two of their runs."""
        folder = _folder()
        mark = None if folder is None else _open(folder / "waiting")
        try:
            if mark is not None:
                fcntl.flock(mark, fcntl.LOCK_SH)
            yield
        finally:
            if mark is not None:
                os.close(mark)


def _folder() -> Path | None:
    """This user's own directory of locks; None where somebody else has made one of that name."""
    path = Path(tempfile.gettempdir()) / f"taunode-{os.getuid()}"
    with contextlib.suppress(OSError):
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
            return path
    return None


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock; None where somebody else does."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
