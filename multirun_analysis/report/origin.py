"""Origin: the commands that made a sweep, the code and the machines that it ran on, and how to run it again."""

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multirun_analysis.read.sweep import UNREADABLE, Sweep
from taunode.errors import plain, plainly
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.files import read_yaml

PROGRAM = "taunode"


@dataclass(frozen=True)
class Command:
    """One that added runs.

    Attributes:
        text: two lines for a shell: the directory, and the command.
        code: (what, which) such as ("commit", "37f88fc…").
    """

    file: str
    time: str
    runs: int
    text: str
    code: tuple[tuple[str, str], ...]


@dataclass
class Origin:
    """Where a sweep is from.

    Attributes:
        commands: in the order in which they were given; `unreadable` lists the files of the others with the reason.
        machines: (host, system) with the number of attempts.
        devices: what the attempts with a result ran on.
        versions: of each library.
        first, last: when the first attempt started and the last one ended, ISO 8601; empty if none did.
    """

    commands: list[Command] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    machines: "Counter[tuple[str, str]]" = field(default_factory=Counter)
    devices: set[str] = field(default_factory=set)
    versions: dict[str, set[str]] = field(default_factory=dict)
    first: str = ""
    last: str = ""


def origin(sweep: Sweep) -> Origin:
    """What the sweep's files say of where it is from."""
    found = Origin()
    for path in sweep.directories:
        for file in SweepDirectory(path).command_files():
            try:
                found.commands.append(_command(plain(file.name), plainly(read_yaml(file))))
            except UNREADABLE as error:
                found.unreadable.append((plain(str(file)), plain(" ".join(str(error).split()))))
    for path in sweep.runs["path"]:
        try:
            for attempt in RunDirectory(path).read_record().attempts:
                _count(found, plainly(attempt))
        except UNREADABLE:  # of another program
            continue
    return found


def _command(name: str, told: dict[str, Any]) -> Command:
    code = told.get("code") or {}
    facts = [(what, str(code[what])) for what in ("repository", "commit", "patch", "digest") if code.get(what)]
    if version := (code.get("versions") or {}).get("taunode"):
        facts.insert(0, ("taunode", str(version)))
    return Command(name, str(told.get("time", "")), int(told.get("runs", 0)), in_shell(told), tuple(facts))


def in_shell(told: dict[str, Any]) -> str:
    """A command as it can be typed: the first word may be the file that Python ran, and what is typed is a program."""
    words = [str(word) for word in told["command"]]
    program = PROGRAM if words[0].endswith(".py") else words[0]
    return f"cd {shlex.quote(str(told.get('directory', '.')))}\n{shlex.join([program, *words[1:]])}"


def _count(found: Origin, attempt: Mapping[str, Any]) -> None:
    if started := str(attempt.get("started") or ""):
        found.first = min(found.first or started, started)
    found.last = max(found.last, str(attempt.get("ended") or ""))
    host = attempt.get("host") or attempt.get("owner") or {}
    found.machines[str(host.get("host", "")), str(host.get("system", ""))] += 1
    if device := (attempt.get("summary") or {}).get("device"):
        found.devices.add(str(device))
    for library, version in (attempt.get("versions") or {}).items():
        found.versions.setdefault(str(library), set()).add(str(version))
