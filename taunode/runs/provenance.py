"""Provenance: which code, on which machine, with which libraries. Never the environment: it may hold secrets."""

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from taunode import own_code

LIBRARIES = ("taunode", "torch", "torchvision", "torchdiffeq", "numpy", "hydra-core", "omegaconf", "submitit")
JOB = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT", "SLURM_MEM_PER_NODE")


@functools.cache
def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # a plain checkout, not installed
            continue
    return found


def digest() -> str:
    """12 hex digits that stand for this code, and the user's own: every Python file, by name and content."""
    state = _of_this_package().copy()
    own_code.update(state)  # anew each time: each run's process imports what is there then
    return state.hexdigest()


@functools.cache
def _of_this_package() -> "hashlib.blake2b":
    package = Path(__file__).resolve().parents[1]
    state = hashlib.blake2b(digest_size=6)
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        state.update(f"{path.relative_to(package)} {len(content)}\n".encode() + content)
    return state


def host() -> dict[str, Any]:
    """The machine, and the batch job if there is one."""
    job = {name.lower(): os.environ[name] for name in JOB if name in os.environ}
    return {"host": platform.node(), "system": platform.platform(), **job}


def _git(directory: Path, *arguments: str, index: Path | None = None) -> bytes | None:
    """What git says; `index` stands for the repository's own, which stays as it is."""
    command = ["git", "-C", str(directory), *arguments]
    environment = None if index is None else {**os.environ, "GIT_INDEX_FILE": str(index)}
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, check=True, env=environment)
    except (OSError, subprocess.SubprocessError):
        return None  # no git here, or not a repository
    return done.stdout


def _patch(directory: Path) -> bytes:
    """What is not committed, with the modules and options of taunode's that git does not know yet."""
    there = [name for name in ("taunode", "conf") if (directory / name).is_dir()]
    listed = _git(directory, "ls-files", "--others", "--exclude-standard", "-z", "--", *there) if there else b""
    names = [name for name in os.fsdecode(listed or b"").split("\0") if name.endswith((".py", ".yaml"))]
    index = _git(directory, "rev-parse", "--git-path", "index") if names else None
    if index is None:
        return _git(directory, "diff", "--binary", "HEAD") or b""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "index"
        with contextlib.suppress(OSError):
            copy.write_bytes((directory / os.fsdecode(index.rstrip(b"\n"))).read_bytes())
        _git(directory, "add", "--intent-to-add", "--", *names, index=copy)
        return _git(directory, "diff", "--binary", "HEAD", index=copy) or b""


def code() -> tuple[dict[str, Any], bytes]:
    """What would be needed to have this code again: version, commit, and the uncommitted patch (empty if none).

    Of the repository that taunode itself is checked out from, else of the one the command was typed in.
    """
    package = Path(__file__).resolve().parents[2]
    directory = package if (package / ".git").exists() else Path.cwd()
    facts: dict[str, Any] = {"versions": versions(), "digest": digest()}
    if own_code.folders() or own_code.packages():
        facts["own"] = {"folders": [str(one) for one in own_code.folders()], "packages": own_code.versions()}
    commit = _git(directory, "rev-parse", "HEAD")
    if commit is None:
        return facts, b""
    patch = _patch(directory)
    facts |= {"repository": str(directory), "commit": commit.decode().strip()}
    if patch:
        facts["patch"] = f"patch-{hashlib.blake2b(patch, digest_size=8).hexdigest()}.diff"
    return facts, patch
