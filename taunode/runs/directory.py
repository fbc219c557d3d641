"""The run directory and the sweep directory: every file name, and how files are read and written.

    <sweep>/commands/<time>-<id>.yaml   one a command that added runs
    <sweep>/slurm/<job name>.json       one a submission to Slurm; beside it the batch scripts and the logs of its tasks
    <sweep>/runs/<name>/                one a run; a single run directory is read as a sweep of one
        config.yaml  run.json  claim.<k>  done  .hydra/
        metrics.<k>.csv  timings.<k>.csv  checkpoint.<k>.pt  model.<k>.safetensors  best.<k>.safetensors
        log.<k>.txt  error.<k>.txt
        metrics.csv  timings.csv  model.safetensors  best.safetensors  log.txt      links to one attempt's files

Everything an attempt writes carries its number k, so a process that lost its claim can spoil nothing. Every file
but the log is written aside and renamed, so a reader sees the old file or the new one, never half of one.
"""

import contextlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from taunode.errors import BadInput

FORMAT = 1  # of run.json and of the command files; raised when an older taunode could misread a newer sweep

_loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml: 1 ms a file against 7 to 15 ms
_dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def read_yaml(path: Path) -> Any:
    return yaml.load(path.read_bytes(), Loader=_loader)


def to_yaml(value: Any) -> str:
    return str(yaml.dump(value, Dumper=_dumper, sort_keys=False, allow_unicode=True, width=110))


def write_aside(path: Path, write: Callable[[BinaryIO], object], durable: bool = False) -> None:
    """Write a file beside `path` and rename it there; the old one stays whole if anything goes wrong.

    `durable` also waits until the bytes are on the disk (for what would be expensive to compute again).
    """
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with open(aside, "wb") as file:
            write(file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    write_aside(path, lambda file: file.write(text.encode()))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def link_once(path: Path, value: Any) -> bool:
    """Create `path` holding `value` as JSON; False if it exists already. Of any number of processes one wins."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        aside.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
        os.link(aside, path)  # atomic on every file system with hard links, NFS included
    except FileExistsError:
        return False
    finally:
        aside.unlink(missing_ok=True)
    return True


class NewerFormat(BadInput):
    """A newer taunode wrote this: going on could misread it, so no reader may skip it as merely broken."""


class RunDirectory:
    """The names of one run's files."""

    linked = ("metrics.csv", "timings.csv", "model.safetensors", "best.safetensors", "log.txt")

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.record = self.path / "run.json"
        self.done = self.path / "done"
        self.hydra = self.path / ".hydra"

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    def claim(self, attempt: int) -> Path:
        return self.path / f"claim.{attempt}"

    def metrics(self, attempt: int) -> Path:
        return self.path / f"metrics.{attempt}.csv"

    def timings(self, attempt: int) -> Path:
        return self.path / f"timings.{attempt}.csv"

    def checkpoint(self, attempt: int) -> Path:
        return self.path / f"checkpoint.{attempt}.pt"

    def model(self, attempt: int) -> Path:
        return self.path / f"model.{attempt}.safetensors"

    def best(self, attempt: int) -> Path:
        return self.path / f"best.{attempt}.safetensors"

    def log(self, attempt: int) -> Path:
        return self.path / f"log.{attempt}.txt"

    def error(self, attempt: int) -> Path:
        return self.path / f"error.{attempt}.txt"

    def link(self, attempt: int) -> None:
        """Let the plain names (`metrics.csv`, …) lead to this attempt's files."""
        for name in self.linked:
            stem, suffix = name.split(".", 1)
            aside = self.path / f".{name}.{uuid.uuid4().hex[:8]}"
            aside.symlink_to(f"{stem}.{attempt}.{suffix}")
            os.replace(aside, self.path / name)

    def attempts(self) -> int:
        """The number of the newest claim; 0 when there is none. The highest claim owns the run."""
        numbers = [name[6:] for name in os.listdir(self.path) if name.startswith("claim.")]
        return max((int(number) for number in numbers if number.isdigit()), default=0)

    def checkpoints(self) -> list[int]:
        """The attempts that left a checkpoint."""
        found = (re.fullmatch(r"checkpoint\.(\d+)\.pt", name) for name in os.listdir(self.path))
        return sorted(int(match[1]) for match in found if match)

    def remove_asides(self, before: int) -> None:
        """Remove what writers of the attempts before this one left when they were killed: a checkpoint can be large."""
        for name in os.listdir(self.path):
            aside = re.fullmatch(r"\.(?:checkpoint|model|best|metrics|timings)\.(\d+)\.\w+\.[0-9a-f]{8}", name)
            if aside and int(aside[1]) < before:
                (self.path / name).unlink(missing_ok=True)

    def read_config(self) -> dict[str, Any]:
        """The frozen configuration."""
        config = read_yaml(self.config)
        if not isinstance(config, dict):
            raise BadInput(f"{self.config}: not a configuration")
        return config

    def read_record(self) -> "Record":
        try:
            return Record.from_json(json.loads(self.record.read_bytes()), self.record)
        except FileNotFoundError:
            raise BadInput(f"{self.path} is not a run directory: it has no {self.record.name}") from None
        except json.JSONDecodeError as error:
            raise BadInput(f"{self.record}: not valid JSON ({error})") from None


@dataclass
class Record:
    """`run.json`: what a run is, and what is known of its attempts.

    The claims and `done` are the truth of who owns the run and how it ended; this file repeats them, so that a
    reader of many runs opens one file each. Where they differ, `taunode.runs.state` believes the claims.

    Attributes:
        name: the directory's name when it was planned.
        signature: 32 hex digits, the hash of the scientific configuration.
        state: the state stored last.
        planned: when, ISO 8601 with time zone.
        command: the file under `commands/` that added the run, or null for a single run.
        overrides: the command line's overrides that made this run, in Hydra's words.
        facts: what planning found out: tau (label), tau_value, blocks (L), parameters, steps_per_epoch …
        runtime: the runtime settings asked for.
        attempts: one mapping an attempt: attempt, host, device, …, state, end.
        summary: the results of the attempt that `done` names.
    """

    name: str
    signature: str
    state: str
    planned: str
    command: str | None
    overrides: list[str]
    facts: dict[str, Any]
    runtime: dict[str, Any]
    attempts: list[dict[str, Any]]
    summary: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **self.__dict__}

    @classmethod
    def from_json(cls, value: Any, path: Path) -> "Record":
        if not isinstance(value, dict) or not isinstance(value.get("format"), int):
            raise BadInput(f"{path}: not a run's record")
        if value["format"] > FORMAT:
            raise NewerFormat(
                f"{path} was written by a newer taunode (format {value['format']}; this one reads {FORMAT})"
            )
        missing = [name for name in cls.__dataclass_fields__ if name not in value]
        if missing:
            raise BadInput(f"{path}: without {', '.join(missing)}")
        return cls(**{name: value[name] for name in cls.__dataclass_fields__})


class SweepDirectory:
    """The names of a sweep's files: `commands/`, `slurm/` and `runs/`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.commands = self.path / "commands"
        self.slurm = self.path / "slurm"
        self.runs = self.path / "runs"

    def submission(self, name: str) -> Path:
        return self.slurm / f"{name}.json"

    def submissions(self) -> list[Path]:
        return sorted(self.slurm.glob("*.json"))

    def run(self, name: str) -> RunDirectory:
        return RunDirectory(self.runs / name)

    def named(self) -> Iterator[str]:
        """The names of all run directories, sorted; none while `runs/` does not exist."""
        with contextlib.suppress(FileNotFoundError):
            yield from sorted(entry.name for entry in os.scandir(self.runs) if entry.is_dir() and entry.name[0] != ".")

    def __iter__(self) -> Iterator[RunDirectory]:
        return (self.run(name) for name in self.named())

    @classmethod
    def open(cls, path: Path | str) -> "list[RunDirectory]":
        """The runs of an existing sweep directory, or the one run of a run directory.

        Raises:
            BadInput: `path` is neither.
        """
        path = Path(path)
        if RunDirectory(path).record.exists():
            return [RunDirectory(path)]
        sweep = cls(path)
        if not sweep.runs.is_dir():
            reason = "it does not exist" if not path.exists() else "it has neither runs/ nor run.json"
            raise BadInput(f"{path} is not a sweep directory: {reason}")
        return list(sweep)
