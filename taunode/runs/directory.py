"""The run directory and the sweep directory: the name of every file in them.

    <sweep>/commands/<time>-<id>.yaml   one a command that added runs
    <sweep>/slurm/<job name>.json       one a submission to Slurm; beside it the batch scripts and the logs of its tasks
    <sweep>/runs/<name>/                one a run; a single run directory is read as a sweep of one
        config.yaml  run.json  claim.<k>  done  .hydra/
        metrics.<k>.csv  timings.<k>.csv  checkpoint.<k>.pt  model.<k>.safetensors  best.<k>.safetensors
        log.<k>.txt  error.<k>.txt  cancel.<k>  probes.<k>.parquet
        metrics.csv  timings.csv  model.safetensors  best.safetensors  log.txt      one attempt's files, by plain names

Everything an attempt writes carries its number k, so a process that lost its claim can spoil nothing. The plain names
are symbolic links while the run is open, because an attempt's files are renamed into place again and again, and hard
links once it is done: `done` itself is a second name of the claim that ended the run.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from taunode.errors import BadInput
from taunode.paths import resolved
from taunode.runs.config import Flat, read_flat, read_frozen
from taunode.runs.files import Missing, Unreadable, aside, open_regular
from taunode.runs.record import Attempt, Done, Record, read_attempt, read_done, read_record

NUMBER = r"([1-9][0-9]{0,5})"  # of an attempt
ABANDONED = 3600.0  # seconds after which an aside has no writer any more
_ASIDE = re.compile(
    rf"\.(?:(?:checkpoint|model|best|metrics|timings|probes|error)\.{NUMBER}\.\w+|(?:claim|cancel)\.{NUMBER}|done|clock|"
    r"config\.yaml|run\.json|(?:metrics|timings|probes|model|best|log)\.\w+)\.[0-9a-f]{8}"
)


class RunDirectory:
    """The names of one run's files."""

    linked = ("metrics.csv", "timings.csv", "model.safetensors", "best.safetensors", "log.txt")

    def __init__(self, path: Path | str) -> None:
        self.place = os.fspath(path)  # as text: a reader of 100,000 runs has no time for a Path a file

    def __repr__(self) -> str:
        return f"RunDirectory({self.place!r})"

    @cached_property
    def path(self) -> Path:
        return Path(self.place)

    @cached_property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @cached_property
    def record(self) -> Path:
        return self.path / "run.json"

    @cached_property
    def done(self) -> Path:
        return self.path / "done"

    @cached_property
    def hydra(self) -> Path:
        return self.path / ".hydra"

    def claim(self, attempt: int) -> Path:
        return self.path / f"claim.{attempt}"

    def cancel(self, attempt: int) -> Path:
        return self.path / f"cancel.{attempt}"

    def metrics(self, attempt: int) -> Path:
        return self.path / f"metrics.{attempt}.csv"

    def timings(self, attempt: int) -> Path:
        return self.path / f"timings.{attempt}.csv"

    def tables(self, attempt: int) -> list[str]:
        """`metrics` and `timings`, as text."""
        return [f"{self.place}/metrics.{attempt}.csv", f"{self.place}/timings.{attempt}.csv"]

    def checkpoint(self, attempt: int) -> Path:
        return self.path / f"checkpoint.{attempt}.pt"

    def model(self, attempt: int) -> Path:
        return self.path / f"model.{attempt}.safetensors"

    def best(self, attempt: int) -> Path:
        return self.path / f"best.{attempt}.safetensors"

    def probes(self, attempt: int) -> Path:
        return self.path / f"probes.{attempt}.parquet"

    def log(self, attempt: int) -> Path:
        return self.path / f"log.{attempt}.txt"

    def error(self, attempt: int) -> Path:
        return self.path / f"error.{attempt}.txt"

    def link(self, attempt: int) -> None:
        """Let the plain names (`metrics.csv`, …) lead to this attempt's files."""
        for name in self.linked:
            stem, suffix = name.split(".", 1)
            beside = aside(self.path / name)
            beside.symlink_to(f"{stem}.{attempt}.{suffix}")
            os.replace(beside, self.path / name)

    def settle(self, attempt: int) -> None:
        """As `link`, for good: hard links, which cost no inode and survive being copied one by one."""
        for name in (*self.linked, "probes.parquet"):
            stem, suffix = name.split(".", 1)
            beside = aside(self.path / name)
            try:
                os.link(self.path / f"{stem}.{attempt}.{suffix}", beside)
                os.replace(beside, self.path / name)
            except FileNotFoundError:  # what diverged in its first epoch has no best weights
                (self.path / name).unlink(missing_ok=True)

    def numbers(self, pattern: str) -> list[int]:
        """The attempts that have a file of this name, in which `{}` stands for the number; sorted."""
        name = re.compile(re.escape(pattern).replace(re.escape("{}"), NUMBER))
        found = (name.fullmatch(entry) for entry in os.listdir(self.path))
        return sorted(int(match[1]) for match in found if match)

    def attempts(self) -> int:
        """The number of the newest claim; 0 when there is none. The highest claim owns the run."""
        return max(self.numbers("claim.{}"), default=0)

    def checkpoints(self) -> list[int]:
        """The attempts that left a checkpoint."""
        return self.numbers("checkpoint.{}.pt")

    def open_checkpoints(self) -> Iterator[BinaryIO]:
        """All checkpoints, each open until the next is asked for.

        Raises:
            Unreadable: one is no regular file.
        """
        for attempt in self.checkpoints():
            with contextlib.suppress(Missing):  # an owner that just lost its claim wrote a newer one
                yield open_regular(self.checkpoint(attempt))

    def remove_asides(self, before: int) -> None:
        """Remove what writers left that were killed: those of the attempts before this one (a checkpoint can be large),
        and whatever else nobody has renamed for an hour."""
        for name in os.listdir(self.path):
            if (left := _ASIDE.fullmatch(name)) is not None:
                path = self.path / name
                with contextlib.suppress(OSError):  # it has just gone, or somebody has made a directory of that name
                    is_old = time.time() - path.lstat().st_mtime > ABANDONED
                    if is_old or (left[1] is not None and int(left[1]) < before):
                        path.unlink()

    def read_config(self) -> dict[str, Any]:
        """The frozen configuration, as this release would have frozen it.

        Raises:
            Unreadable: it cannot be read, or is none.
        """
        return read_frozen(self.config)

    def read_flat(self) -> tuple[Flat, Flat]:
        """The frozen configuration as many of them are read; see `taunode.runs.config.read_flat`.

        Raises:
            Unreadable: it cannot be read, or is none.
        """
        return read_flat(f"{self.place}/config.yaml")

    def read_record(self) -> Record:
        """
        Raises:
            Unreadable: it cannot be read, or is none.
        """
        if os.path.islink(self.place):  # a sweep's runs lie in it; what a user types is resolved before
            raise Unreadable(self.place, "is a symbolic link")
        try:
            return read_record(f"{self.place}/run.json")
        except Missing:
            raise Unreadable(self.place, "is not a run directory: it has no run.json") from None

    def read_claim(self, attempt: int) -> Attempt:
        """What the claim of an attempt says.

        Raises:
            Unreadable: it cannot be read, or is none.
        """
        return read_attempt(self.claim(attempt), attempt)

    def read_done(self) -> Done:
        """How the run ended.

        Raises:
            Missing: it has not.
            Unreadable: it cannot be read, or is none.
        """
        return read_done(f"{self.place}/done")


class SweepDirectory:
    """The names of a sweep's files: `commands/`, `slurm/` and `runs/`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.commands = self.path / "commands"
        self.slurm = self.path / "slurm"
        self.runs = self.path / "runs"

    def submission(self, name: str) -> Path:
        return self.slurm / f"{name}.json"

    def command_files(self) -> list[Path]:
        """The files of all commands, sorted by name; none where `commands/` is a link."""
        return [] if self.commands.is_symlink() else sorted(self.commands.glob("*.yaml"))

    def submissions(self) -> list[Path]:
        """The files of all submissions, sorted by name; none where `slurm/` is a link."""
        return [] if self.slurm.is_symlink() else sorted(self.slurm.glob("*.json"))

    def run(self, name: str) -> RunDirectory:
        return RunDirectory(self.runs / name)

    def named(self) -> list[str]:
        """The names of all run directories, sorted; none while `runs/` does not exist.

        Raises:
            Unreadable: `runs/` is a link, or no directory.
        """
        try:
            if self.runs.is_symlink():
                raise Unreadable(self.runs, "is a symbolic link")
            with os.scandir(self.runs) as entries:
                return sorted(
                    entry.name for entry in entries if entry.name[0] != "." and not entry.is_file(follow_symlinks=False)
                )
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unreadable(self.runs, error.strerror or "cannot be read") from None

    def __iter__(self) -> Iterator[RunDirectory]:
        return (self.run(name) for name in self.named())


def sweep_of(path: Path) -> SweepDirectory:
    """The sweep of a path that is a sweep's directory, or a run's inside of one: a run's record says which it is."""
    path = resolved(path)
    try:
        command = RunDirectory(path).read_record().command
    except Unreadable:
        command = None
        if path.parent.name == "runs" and (path.parents[1] / "commands").is_dir():  # broken, but of a sweep
            command = "../../commands"
    return SweepDirectory(path.parents[1] if command is not None and command.startswith("../../") else path)


def runs_of(path: Path) -> list[RunDirectory]:
    """The runs of an existing sweep directory, or the one run of a run directory.

    Raises:
        BadInput: `path` is neither.
    """
    run, sweep = RunDirectory(resolved(path)), SweepDirectory(path)
    if os.path.lexists(run.record):
        return [run]
    if not sweep.runs.is_dir():
        reason = "it does not exist" if not path.exists() else "it has neither runs/ nor run.json"
        if path.resolve().name == "runs" and (path / ".." / "commands").is_dir():
            reason = f"its sweep is {os.path.normpath(path / '..')}"
        raise BadInput(f"{path} is not a sweep directory: {reason}")
    return list(sweep)
