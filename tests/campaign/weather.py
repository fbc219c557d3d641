"""What surrounds a sweep and can go wrong: a disk that fills up, a squeue with moods, runs that are removed by hand."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

MOODS = ("fails", "empty", "hangs", "noise")
SQUEUE = r"""#!/bin/sh
while [ "$(cat "$SQUEUE_MOOD")" = hangs ]; do sleep 0.1; done
case "$(cat "$SQUEUE_MOOD")" in
fails) echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1 ;;
empty) ;;
noise) printf '\377|x\n||||||\n5000\n' ;;
*) if [ -n "$SQUEUE" ]; then exec "$SQUEUE" "$@"; else cat "$STAND_INS/queue"; fi ;;
esac
"""


class Squeue:
    """A program in `folder`, which answers as its mood is; `real`: the program that it asks in good mood."""

    def __init__(self, folder: Path, real: str = "") -> None:
        folder.mkdir(exist_ok=True)
        (folder / "squeue").write_text(SQUEUE)
        (folder / "squeue").chmod(0o755)
        self._mood = folder / "mood"
        self.environment = {"SQUEUE_MOOD": str(self._mood), "SQUEUE": real}
        self.be("good")

    def be(self, mood: str) -> None:
        beside = self._mood.with_suffix(".new")
        beside.write_text(mood)
        beside.rename(self._mood)


class Disk:
    """A file system of its own for the sweeps, where one can be mounted; use it in a `with`."""

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path, self._megabytes, self.can_be_full = path, megabytes, False

    def __enter__(self) -> "Disk":
        self.path.mkdir()
        if shutil.which("mount"):
            options = ["-t", "tmpfs", "-o", f"size={self._megabytes}m", "tmpfs", str(self.path)]
            self.can_be_full = not subprocess.run(["mount", *options], capture_output=True, check=False).returncode
        return self

    def __exit__(self, *error: object) -> None:
        if self.can_be_full:
            subprocess.run(["umount", "--lazy", self.path], check=True)

    def fill(self) -> None:
        """Leave no byte to anybody."""
        with open(self.path / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
            free = os.statvfs(self.path)
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(1, (free.f_bavail - 16) * free.f_frsize))
            file.seek(0, os.SEEK_END)
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        (self.path / "filler").unlink(missing_ok=True)


def remove(directory: Path) -> bool:
    """As `rm -r` does it, again until all of it is gone; returns whether the run had a result before."""
    had = False
    for _ in range(1000):
        had = had or os.path.lexists(directory / "done")
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.lexists(directory):
            break
    assert not directory.exists(), f"{directory} comes back"
    return had
