"""Write a plan: the directories of its new runs, two files each, and one file for the command that added them.

Planners of one directory take turns, so that of two that plan the same run at the same moment the second finds the
first one's. A run's directory is made under another name and renamed, whole or not at all.
"""

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock

from taunode.errors import BadInput
from taunode.plan.place import ASIDE
from taunode.plan.plan import Plan, PlannedRun
from taunode.runs.directory import ABANDONED, RunDirectory, SweepDirectory
from taunode.runs.files import Unreadable, aside, share_once, to_json, to_yaml, write_aside, write_text
from taunode.runs.provenance import code
from taunode.runs.record import FORMAT, Record, now
from taunode.runs.state import State

LOCK = ".lock"  # in `commands/`


def write(plan: Plan) -> None:
    """Write what is new of a plan. A run that another command has planned meanwhile is that one.

    Raises:
        BadInput: the directory cannot be written to, or another command has made another run there.
    """
    if not plan.new:
        return
    sweep = SweepDirectory(plan.root)
    try:
        sweep.commands.mkdir(parents=True, exist_ok=True)
        with _turn(sweep.commands / LOCK):
            _remove_asides(sweep)
            _find_again(plan, sweep)
            if plan.new:
                command, texts = _write_command(plan, sweep), _Texts()
                for planned in plan.new:
                    _write_run(planned, texts.of(planned.config), _record(planned, command, plan).to_json())
    except OSError as error:
        raise BadInput(f"cannot write to {plan.root}: {error.strerror}") from None


@contextmanager
def _turn(lock: Path) -> Iterator[None]:
    if os.path.lexists(lock) and not stat.S_ISREG(lock.lstat().st_mode):
        raise BadInput(f"{lock} is not a regular file")  # to open it could change another one
    try:
        with FileLock(lock):
            yield
    except NotImplementedError:  # a file system without locks: two commands at one moment may plan a run twice there
        yield


def _remove_asides(sweep: SweepDirectory) -> None:
    """Remove what planners left that were killed, an hour ago or longer."""
    for folder in (sweep.commands, sweep.runs):
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(folder):
                is_aside = ASIDE.fullmatch(entry.name) is not None
                if is_aside and time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED:
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path, ignore_errors=True)
                    else:
                        os.unlink(entry.path)


def _find_again(plan: Plan, sweep: SweepDirectory) -> None:
    """Mark what has been planned since this command looked: a name ends with the signature's beginning."""
    there = {name.rpartition("-")[2]: name for name in sweep.named()}
    for planned in plan.new:
        name = there.get(planned.signature[:8])
        run = planned.run if name is None else sweep.run(name)
        try:
            found = run.read_record().signature
        except Unreadable:
            continue
        if found == planned.signature:
            planned.run, planned.exists = run, True
        elif run.path == planned.run.path:
            raise BadInput(f"{run.path} holds another configuration, which another command has just planned there")


def _write_command(plan: Plan, sweep: SweepDirectory) -> Path:
    """Record the command; returns its file."""
    facts, patch = code()
    if patch and not os.path.lexists(sweep.commands / facts["patch"]):
        write_aside(sweep.commands / facts["patch"], lambda file: file.write(patch))
    path = sweep.commands / f"{datetime.now():%Y%m%d-%H%M%S}-{uuid4().hex[:6]}.yaml"
    about = {"format": FORMAT, "time": now(), **plan.command, "runs": len(plan.new), "code": facts}
    write_text(path, to_yaml(about))
    return path


def _record(planned: PlannedRun, command: Path, plan: Plan) -> Record:
    return Record(
        name=planned.run.path.name,
        signature=planned.signature,
        state=State.PLANNED,
        planned=now(),
        command=os.path.relpath(command, planned.run.path),
        overrides=planned.overrides,
        facts=planned.facts,
        runtime=plan.runtime.to_json(),
        attempts=[],
        summary={},
    )


class _Texts:
    """Configurations as YAML; blocks that many of them share are written as text once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[Any, str]] = {}  # with the block itself, so that its id stays its own

    def of(self, config: dict[str, Any]) -> bytes:
        return "".join(self._block(*item) for item in config.items()).encode()

    def _block(self, name: str, block: Any) -> str:
        if not isinstance(block, dict):
            return to_yaml({name: block})
        key = name, id(block)
        if key not in self._known:
            self._known[key] = block, to_yaml({name: block})
        return self._known[key][1]


def _write_run(planned: PlannedRun, config: bytes, record: dict[str, Any]) -> None:
    path = planned.run.path
    if path.exists():  # the empty directory that a user named for a single run
        write_aside(planned.run.config, lambda file: file.write(config))
        beside = aside(planned.run.record)
        beside.write_bytes(to_json(record))
        try:
            share_once(beside, planned.run.record)
        finally:
            beside.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = aside(path)
    beside.mkdir()
    try:
        made = RunDirectory(beside)
        made.config.write_bytes(config)
        made.record.write_bytes(to_json(record))
        os.rename(beside, path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
