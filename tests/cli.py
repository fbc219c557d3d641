"""Command lines, as a user types them: in this process for what is refused, in one of its own for what trains."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from taunode.command.line import Line
from taunode.command.plugins import register
from taunode.plan.command_line import plan_multirun
from taunode.plan.plan import Plan
from taunode.train import main

# One epoch of a small network on made-up images: 0.2 s beside the imports.
TINY = (
    "arch=resnet",
    "arch.depth=8",
    "dataset=synthetic",
    "dataset.train_images=64",
    "dataset.test_images=16",
    "schedule.epochs=1",
    "schedule.batch_size=16",
    "runtime.device=cpu",
    "runtime.threads=1",
)


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAUNODE_", "SLURM_"))}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1]), **changes}


def start(*arguments: str, cwd: Path, processes: int | None = None) -> subprocess.Popen[str]:
    """Start the command; with `processes` through torchrun, so many of them together."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(torchrun if processes else []), "-m", "taunode.train", *arguments]
    return subprocess.Popen(
        command, cwd=cwd, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def taunode(
    *arguments: str, cwd: Path, code: int = 0, processes: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; it must end with `code`."""
    process = start(*arguments, cwd=cwd, processes=processes)
    out, err = process.communicate()
    assert process.returncode == code, f"exit {process.returncode}\n{out}\n{err}"
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def refusal(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """The one line with which a command is refused: exit code 2, nothing else is said."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capfd.readouterr()
    assert ended.value.code == 2, (ended.value.code, out, err)
    assert out == ""
    assert err.startswith("taunode: ")
    assert err.count("\n") == 1, err
    return err.removeprefix("taunode: ").strip()


def ended(
    program: str,
    main: Callable[[], object],
    arguments: Iterable[object],
    monkeypatch: pytest.MonkeyPatch,
    capture: pytest.CaptureFixture[str],
) -> tuple[int | str, str, str]:
    """A command in this process: exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0, *capture.readouterr()


def plan(*arguments: str, config_dir: Path | None = None) -> Plan:
    """The plan of a multirun command, in `sweep` where nothing else is said."""
    register()
    composer = Line.of([*TINY, "hydra.sweep.dir=sweep", *arguments], config_dir, multirun=True).composer()
    return plan_multirun(composer, composer.typed)


def tree(directory: Path) -> dict[str, str]:
    """Every file and folder, with what it holds and when it was changed."""
    found = {}
    for path in sorted(directory.rglob("*")):
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        found[str(path.relative_to(directory))] = f"{content} {path.lstat().st_mtime_ns if path.is_file() else ''}"
    return found


def snapshot(directory: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a directory: what it is, its size, its time, and what is in it. No link is followed."""
    found = {}
    for path in sorted([directory, *directory.rglob("*")]):
        seen = path.lstat()
        content: object = None
        if stat.S_ISLNK(seen.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(seen.st_mode) and seen.st_size < 2**25:
            content = path.read_bytes()
        found[str(path)] = (stat.S_IFMT(seen.st_mode), seen.st_size, seen.st_mtime_ns, content)
    return found


def record(run: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((run / "run.json").read_bytes())
    return read


def records(sweep: Path) -> dict[str, dict[str, Any]]:
    return {run.name: record(run) for run in sorted((sweep / "runs").iterdir())}
