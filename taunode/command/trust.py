"""What this user has typed before: a sweep's files may ask for what runs on a cluster only if it is among that.

A directory of runs may come from anybody. Lines of shell (`hydra.launcher.setup`), options of sbatch and folders to
write to that stand in its files are used without a question only if this user has sent them before.
"""

import contextlib
import functools
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taunode.errors import BadInput, plain

STORE = "taunode/typed"  # in the user's directory of state: a line of hex digits for each


def _store() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / STORE


def _mark(kind: str, value: Any) -> str:
    return hashlib.blake2b(json.dumps([kind, value], sort_keys=True).encode(), digest_size=16).hexdigest()


def remember(kind: str, value: Any) -> None:
    """Note what the user has typed; a home that cannot be written to means a question later."""
    if value and not is_known(kind, value):
        with contextlib.suppress(OSError):
            _store().parent.mkdir(parents=True, exist_ok=True)
            with open(_store(), "a", encoding="ascii") as file:
                file.write(_mark(kind, value) + "\n")
        _known.cache_clear()


def is_known(kind: str, value: Any) -> bool:
    """Whether this user has typed it before; nothing at all needs no trust."""
    return not value or _mark(kind, value) in _known(_store())


@functools.lru_cache(maxsize=1)
def _known(store: Path) -> frozenset[str]:
    try:
        return frozenset(store.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return frozenset()


def own(runtime: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings, with a folder for decoded images that this user has chosen: the run may be somebody else's."""
    if is_known("cache_dir", runtime.get("cache_dir")):
        return dict(runtime)
    return {**runtime, "cache_dir": os.environ.get("TAUNODE_CACHE") or "~/.cache/taunode"}


def shell_of(launcher: Mapping[str, Any]) -> dict[str, Any]:
    """What of the launcher's options reaches a shell or sbatch as it stands."""
    entries = [entry.get("sbatch") for entry in launcher.get("resources") or [] if isinstance(entry, Mapping)]
    found = {"setup": launcher.get("setup"), "sbatch": launcher.get("sbatch"), "resources": [e for e in entries if e]}
    return {key: value for key, value in found.items() if value}


def ask(sweep: Path, launcher: Mapping[str, Any], yes: bool) -> None:
    """Show what a sweep's files would hand to a shell or to sbatch, if this user has not sent it before, and ask.

    Raises:
        BadInput: the answer is no, or there is nobody to ask.
    """
    shell = shell_of(launcher)
    if is_known("shell", shell):
        return
    lines = [f"  {key}: {plain(json.dumps(value, ensure_ascii=False))}" for key, value in shell.items()]
    print(f"{sweep} asks for what you have not sent before:", *lines, sep="\n", file=sys.stderr)
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput(f"{sweep}: its jobs would run the above; --yes if they shall")
        import typer

        if not typer.confirm("Shall its jobs run that?", err=True):
            raise BadInput(f"{sweep}: nothing was sent")
    remember("shell", shell)
