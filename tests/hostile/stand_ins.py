"""Stand-ins for Slurm's programs, which note how they were called; and a watch over files that nobody may open."""

import ctypes
import os
import re
import struct
from pathlib import Path

PROGRAMS = ("squeue", "scancel", "sbatch", "scontrol", "srun", "sacctmgr")
SCRIPT = r"""#!/bin/sh
{ printf '%s' "${0##*/}"; for word; do printf '\037%s' "$word"; done; printf '\036'; } >> "$STAND_INS/calls"
case "${0##*/} $1" in
squeue*) cat "$STAND_INS/queue" ;;
"scontrol show") echo "ClusterName = here"; echo "MaxArraySize = 1001" ;;
"sbatch --test-only") ;;
sbatch*) cat "$1" >> "$STAND_INS/scripts"; echo "Submitted batch job 5000" ;;
esac
"""
JOB = r"\d{1,18}(_\d{1,9})?"
# What they may be called with: nothing that a sweep's files say, but for numbers of jobs.
ALLOWED = {
    "squeue": [r"--noheader", r"--array", r"--user=[\w.-]+", r"--format=[%A-Za-z|]+"],
    "scancel": [r"[0-9]{1,18}"],
    "sbatch": [r"--test-only", r"/[^\n]*\.sh"],
    "scontrol": [r"show|config|job|requeue|--oneliner", JOB],
    "srun": [],
    "sacctmgr": [r"-nP", r"show", r"assoc", r"user=[\w.-]+", r"format=account,maxsubmitjobs"],
}


class StandIns:
    """In a folder of their own, which goes first on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in PROGRAMS:
            (folder / name).write_text(SCRIPT)
            (folder / name).chmod(0o755)
        self.answer("")

    @property
    def environment(self) -> dict[str, str]:
        return {"STAND_INS": str(self.folder), "PATH": f"{self.folder}:{os.environ['PATH']}"}

    def answer(self, queue: str) -> None:
        """Begin anew; squeue answers so."""
        (self.folder / "queue").write_text(queue)
        for name in ("calls", "scripts"):
            (self.folder / name).unlink(missing_ok=True)

    def calls(self) -> list[list[str]]:
        try:
            text = (self.folder / "calls").read_text(errors="backslashreplace")
        except FileNotFoundError:
            return []
        return [call.split("\037") for call in text.split("\036")[:-1]]

    def scripts(self) -> str:
        """All batch scripts that were sent."""
        path = self.folder / "scripts"
        return path.read_text() if path.exists() else ""

    def foreign(self) -> list[list[str]]:
        """The calls with an argument that they may not have."""
        return [
            call
            for call in self.calls()
            if not all(any(re.fullmatch(one, word) for one in ALLOWED[call[0]]) for word in call[1:])
        ]


class Watched:
    """Files and folders below a directory: whether anybody opens, changes, makes or removes one (inotify)."""

    # access, modify, attrib, close_write, open, moved_from, moved_to, create, delete
    EVENTS = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80 | 0x100 | 0x200

    def __init__(self, directory: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._descriptor >= 0
        self._names: dict[int, str] = {}
        for folder in (directory, *(path for path in directory.rglob("*") if path.is_dir())):
            number = self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), self.EVENTS)
            assert number >= 0
            self._names[number] = str(folder)

    def seen(self) -> list[str]:
        """What has happened since the last look."""
        found = []
        while True:
            try:
                content = os.read(self._descriptor, 65536)
            except BlockingIOError:
                return found
            while content:
                number, mask, _, length = struct.unpack_from("iIII", content)
                name = content[16 : 16 + length].rstrip(b"\0").decode(errors="backslashreplace")
                found.append(f"{self._names.get(number, '?')}/{name}: {mask:#x}")
                content = content[16 + length :]

    def close(self) -> None:
        os.close(self._descriptor)
