"""Reproduce: run a finished run again, with the code that its command recorded, beside the old one; then compare.

A run directory is data. Its commit, its patch and its versions are read as such, and shown. Only here are they
executed, after the user has said so, and the repository is one that the user has, never the one that the record names.
"""

import contextlib
import csv
import hashlib
import importlib.metadata
import io
import math
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory, sweep_of
from taunode.runs.files import Missing, Unreadable, read_bytes, read_json, read_yaml, write_aside, write_json
from taunode.runs.provenance import LIBRARIES
from taunode.runs.record import Attempt
from taunode.runs.runtime import BITS

MAIN = "from taunode.command.sweep import main; main()"  # what `taunode-sweep` is


@dataclass(frozen=True)
class Recorded:
    """A finished run, and the code that its files say it ran.

    Attributes:
        attempt: the one whose files are the run's.
        patch: what was not committed; empty if nothing was.
        repository: where it was, in words.
        own: its user's own code was in it; the name of the copy that is kept of that, if there is one.
    """

    run: RunDirectory
    attempt: Attempt
    commit: str
    patch: bytes
    repository: str
    own: str | None

    @property
    def metrics(self) -> bytes:
        return read_bytes(self.run.metrics(self.attempt["attempt"]))

    @property
    def place(self) -> Path:
        """Beside the sweep, or the single run: a directory for this run."""
        sweep = sweep_of(self.run.path).path
        beside = sweep.with_name(f"{sweep.name}-reproduced")
        return beside if sweep == self.run.path else beside / self.run.path.name


def recorded(run: RunDirectory) -> Recorded:
    """
    Raises:
        BadInput: the run has no result, or its files do not say which code that is from.
    """
    record = run.read_record()
    try:
        done = run.read_done()
    except Missing:
        raise BadInput(f"{run.path} has no result that could be reproduced; it is {record.state}") from None
    attempt = next((one for one in record.attempts if one["attempt"] == done["attempt"]), None)
    attempt = run.read_claim(done["attempt"]) if attempt is None else attempt
    if record.command is None:
        raise BadInput(f"{run.path}: no command is recorded that it is from")
    command = run.path / record.command
    if command.parent.is_symlink():
        raise Unreadable(command.parent, "is a symbolic link")
    told = read_yaml(command)
    code = told.get("code") if isinstance(told, dict) else None
    code = code if isinstance(code, dict) else {}
    commit, name = str(code.get("commit", "")), code.get("patch")
    if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit) is None:
        raise Unreadable(command, "records no commit: the code was in no repository")
    own = code.get("own")
    kept = str(own.get("files") or "") if isinstance(own, dict) else None
    return Recorded(run, attempt, commit, _patch(command, name), str(code.get("repository", "")), kept)


def _patch(command: Path, name: object) -> bytes:
    if name is None:
        return b""
    if not isinstance(name, str) or (found := re.fullmatch(r"patch-([0-9a-f]{16})\.diff", name)) is None:
        raise Unreadable(command, "names a patch that is none of taunode's")
    content = read_bytes(command.with_name(name))
    if hashlib.blake2b(content, digest_size=8).hexdigest() != found[1]:
        raise Unreadable(command.with_name(name), "has been changed since it was recorded")
    return content


def repository_with(commit: str, named: Path | None, recorded_as: str) -> Path:
    """The repository to take a commit from: the one that is named, else this taunode's own, else the one here.

    Raises:
        BadInput: it has no such commit.
    """
    package = Path(__file__).resolve().parents[2]
    place = named or (package if (package / ".git").exists() else Path.cwd())
    if _git(place, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise BadInput(
            f"{place}: no repository that has the commit {commit[:12]}; it was in {recorded_as or 'another one'}: "
            "--repository DIR names one, after git fetch if it lacks the commit"
        )
    if _git(place, "cat-file", "-e", f"{commit}:taunode/__init__.py").returncode:
        raise BadInput(f"{place}: the commit {commit[:12]} holds no taunode: the run's was installed from elsewhere")
    return place


def _git(place: Path, *words: str, given: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
    command = ["git", "-C", str(place), "-c", "core.hooksPath=/dev/null", *words]
    try:
        return subprocess.run(command, input=given, capture_output=True, check=False)
    except OSError as error:
        raise BadInput(f"git cannot be run: {error.strerror}") from None


def files_of(patch: bytes, repository: Path) -> list[str]:
    """The files that a patch changes, with how many lines it adds and takes away: `taunode/build.py +3 −1`.

    Raises:
        BadInput: git reads no patch in it.
    """
    if not patch:
        return []
    told = _git(repository, "apply", "--numstat", "-z", given=patch)
    if told.returncode:
        raise BadInput(f"the recorded patch is none that git reads: {_last_line(told.stderr)}")
    rows = (row.split("\t", 2) for row in told.stdout.decode(errors="replace").split("\0") if row)
    return [f"{name} +{added} −{removed}" for added, removed, name in rows]


def _last_line(told: bytes) -> str:
    lines = told.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "git says nothing"


def check_out(found: Recorded, repository: Path, place: Path) -> None:
    """Make `place/code`, a worktree of the commit with the patch, and `place/run`, the run as it was planned.

    Raises:
        BadInput: there is something else; or git refuses, and nothing is left.
    """
    code, run = place / "code", RunDirectory(place / "run")
    if os.path.lexists(run.record):
        there = run.read_record().signature == found.run.read_record().signature
        if there and _git(code, "rev-parse", "HEAD").stdout.decode().strip() == found.commit:
            return  # it is gone on with
        raise BadInput(f"{place} holds another reproduction; --directory names another place")
    if os.path.lexists(place) and (not place.is_dir() or any(place.iterdir())):
        raise BadInput(f"{place} is there already; --directory names another place")
    try:
        place.mkdir(parents=True, exist_ok=True)
        _do(repository, "worktree", "add", "--detach", str(code.resolve()), found.commit)
        if found.patch:
            _do(code, "apply", "--whitespace=nowarn", given=found.patch)
        if (code / "conf").is_dir() and not os.path.lexists(code / "taunode" / "conf"):
            (code / "taunode" / "conf").symlink_to("../conf")  # where the package has it once it is installed
        _plan(found, run)
    except BaseException as error:
        _git(repository, "worktree", "remove", "--force", str(code.resolve()))
        shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, OSError):
            raise BadInput(f"cannot write {place}: {error.strerror}") from None
        raise


def _do(place: Path, *words: str, given: bytes | None = None) -> None:
    told = _git(place, *words, given=given)
    if told.returncode:
        raise BadInput(f"git {words[0]} refuses: {_last_line(told.stderr)}")


def _plan(found: Recorded, run: RunDirectory) -> None:
    """The run with its configuration, byte for byte, and the settings that change rounding, as nobody had begun it."""
    run.path.mkdir()
    config = read_bytes(found.run.config)
    write_aside(run.config, lambda file: file.write(config))
    record: dict[str, Any] = read_json(found.run.record)  # in the format of the release that goes on with it
    bits = {name: value for name, value in found.attempt.get("runtime", {}).items() if name in BITS}
    afresh: dict[str, Any] = {"state": "planned", "attempts": [], "summary": {}, "command": None}
    write_json(run.record, record | afresh | {"runtime": record["runtime"] | bits})


def versions(found: Recorded) -> list[tuple[str, str, str]]:
    """Python and the libraries: (name, recorded, here), where they are not the same."""
    told = found.attempt.get("versions", {})
    rows = [(name, told.get(name, ""), _here(name)) for name in ("python", *LIBRARIES)]
    return [row for row in rows if row[1] != row[2] and row[1]]


def _here(name: str) -> str:
    if name == "python":
        return platform.python_version()
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def pins(found: Recorded) -> list[str]:
    """The recorded versions as pip takes them; what is no version is none."""
    told = found.attempt.get("versions", {})
    return [
        f"{name}=={told[name]}"
        for name in LIBRARIES
        if name != "taunode" and re.fullmatch(r"[0-9][0-9A-Za-z.+!]{0,50}", told.get(name, ""))
    ]


def install(found: Recorded, place: Path) -> Path:
    """Make `place/venv` with the recorded versions; returns its Python.

    Raises:
        BadInput: pip cannot.
    """
    python = place / "venv" / "bin" / "python"
    if not python.exists():
        words = [[sys.executable, "-m", "venv", str(place / "venv")]]
        words.append([str(python), "-m", "pip", "install", *pins(found), str(place / "code")])
        for command in words:
            if subprocess.run(command, check=False).returncode:
                shutil.rmtree(place / "venv", ignore_errors=True)
                raise BadInput(f"the recorded versions cannot be installed: {', '.join(pins(found))}")
    return python


def execute(place: Path, python: Path, config_dir: Path | None) -> int:
    """Run `place/run` with the code in `place/code`, in processes of its own; returns the exit code."""
    path = os.pathsep.join(filter(None, (str((place / "code").resolve()), os.environ.get("PYTHONPATH"))))
    words = [str(python), "-P", "-c", MAIN, "resume", str(place / "run")]
    words += ["--config-dir", str(config_dir)] if config_dir is not None else []
    return subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, check=False).returncode


@dataclass(frozen=True)
class Comparison:
    """`identical`: every byte of the metrics, and how the run ended. `said`: that, or where they differ, in words."""

    identical: bool
    said: list[str]


def compare(found: Recorded, run: RunDirectory) -> Comparison:
    """
    Raises:
        Missing, Unreadable: the new run has no result, or a file cannot be read.
    """
    done, before = run.read_done(), found.run.read_done()
    new, old = read_bytes(run.metrics(done["attempt"])), found.metrics
    ended = [_end(one) for one in (before, done)]
    said = [] if ended[0] == ended[1] else [f"ended: {ended[0]} before, {ended[1]} now"]
    if new == old:
        epochs = max(old.count(b"\n") - 1, 0)
        return Comparison(not said, [*said, f"metrics.csv: identical, byte for byte ({epochs} epochs)"])
    return Comparison(False, [*said, *_largest(_rows(old), _rows(new))])


def _end(done: Mapping[str, Any]) -> str:
    summary = done["summary"]
    where = f" in epoch {summary.get('diverged_epoch')}, step {summary.get('diverged_step')}"
    return f"{done['state']}{where if 'diverged_epoch' in summary else ''}"


def _rows(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode(errors="replace"))))


def _largest(old: list[dict[str, str]], new: list[dict[str, str]]) -> list[str]:
    """Of each column that differs, the largest difference and its epoch."""
    said = [f"epochs: {len(old)} before, {len(new)} now"] if len(old) != len(new) else []
    for column in dict.fromkeys([*(old[0] if old else ()), *(new[0] if new else ())]):
        most, at = 0.0, ""
        for before, now in zip(old, new, strict=False):
            difference = _difference(before.get(column), now.get(column))
            if difference > most:
                most, at = difference, before.get("epoch") or ""
        if most:
            said.append(f"{column}: the largest difference is {most:.3g}, in epoch {at}")
    return said or ["metrics.csv: the same numbers, written otherwise"]


def _difference(before: str | None, now: str | None) -> float:
    if before == now:
        return 0.0
    try:
        found = abs(float(now or "nan") - float(before or "nan"))
    except ValueError:
        return math.inf
    return math.inf if math.isnan(found) else found


def digests(found: Recorded, run: RunDirectory) -> tuple[str, str]:
    """What stands for the code that ran, before and now; empty where nothing is recorded."""
    now = ""
    with contextlib.suppress(Unreadable):
        now = next((one["code"] for one in reversed(run.read_record().attempts) if "code" in one), "")
    return found.attempt.get("code", ""), now
