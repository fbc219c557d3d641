"""Tiny planned runs, and workers in processes of their own that a test can stop, kill and replace.

`TAUNODE_SCALE` (default 0.05) scales the counts of the long tests; 1 is what the package promises.
"""

import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import MappingProxyType
from typing import Any

from taunode.runs.directory import RunDirectory
from taunode.runs.runtime import Runtime
from taunode.runs.state import State
from taunode.work.assignment import Assignment
from taunode.work.worker import work

RESULTS = ("metrics.csv", "model.safetensors", "best.safetensors")
TINY = (
    "arch=resnet",
    "arch.depth=8",
    "dataset=synthetic",
    "dataset.train_images=64",
    "dataset.test_images=16",
    "dataset.crop_padding=1",
    "dataset.flip=true",
    "schedule.epochs=2",
    "schedule.batch_size=16",
    "schedule.milestones=[]",
)

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # a thread that waits leaves the processor to the other workers
# Forks of a server that has torch imported and no thread of it used, whatever this process has done.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["pytest", "taunode.work.attempt", "taunode.work.worker"])


def scaled(count: int) -> int:
    return max(1, round(count * float(os.environ.get("TAUNODE_SCALE", "0.05"))))


def plan(
    root: Path,
    *overrides: str,
    seeds: int = 1,
    tiny: Sequence[str] = TINY,
    command: Mapping[str, Any] = MappingProxyType({}),
) -> list[RunDirectory]:
    """The planned run directories of a sweep over seeds; later overrides replace those of `tiny`."""
    from hydra.types import RunMode  # here, so that workers need not import Hydra

    from taunode.plan.compose import Composer
    from taunode.plan.plan import plan_sweep
    from taunode.plan.write import write

    composer = Composer.for_command([], None, RunMode.RUN)
    jobs = [[*tiny, *overrides, f"seed={seed}"] for seed in range(seeds)]
    planned = plan_sweep(composer, jobs, root, swept=["seed"], command=dict(command))
    write(planned)
    return [run.run for run in planned.runs]


def copies(run: RunDirectory, count: int) -> list[RunDirectory]:
    """The run and its copies under other names beside it: the same results are due from all of them."""
    paths = [run.path.with_name(f"{run.path.name}-{number}") for number in range(1, count)]
    for path in paths:
        shutil.copytree(run.path, path, symlinks=True)
    return [run, *map(RunDirectory, paths)]


def runtime(**changes: Any) -> Runtime:
    return Runtime(
        **{
            "device": "cpu",
            "threads": 1,
            "compile": False,
            "channels_last": False,
            "data_root": "data",
            "cache_dir": os.path.join(tempfile.gettempdir(), "taunode-tests"),
            "checkpoint_seconds": 0.01,
            "lease_seconds": 60.0,
            "keep_checkpoint": False,
            "loader_workers": 0,
            **changes,
        }
    )


def attempts(run: RunDirectory) -> list[dict[str, Any]]:
    """What the claims say of all attempts."""
    return [json.loads(run.claim(number).read_bytes()) for number in range(1, run.attempts() + 1)]


def results(run: RunDirectory) -> dict[str, bytes]:
    return {name: (run.path / name).read_bytes() for name in RESULTS}


def start(target: Callable[..., object], *arguments: Any) -> ForkServerProcess:
    """Call `target(*arguments)` in a process, and process group, of its own."""
    process = _context.Process(target=_alone, args=(target, arguments))
    process.start()
    return process


def _alone(target: Callable[..., object], arguments: Sequence[Any]) -> None:
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # even if the tests run in a shell's background
    target(*arguments)


def execute(
    runs: Sequence[RunDirectory],
    fault: Callable[[], object] | None = None,
    also: frozenset[State] = frozenset(),
    newest: int | None = None,
    **changes: Any,
) -> ForkServerProcess:
    """Start a worker for these runs.

    Args:
        fault: called in the worker first, to replace something in it.
        changes: of the runtime.
    """
    return start(_work, [Assignment(run, runtime(**changes), newest) for run in runs], fault, also)


def _work(assignments: Sequence[Assignment], fault: Callable[[], object] | None, also: frozenset[State]) -> None:
    os.fsync = lambda descriptor: None  # what a killed process has written is safe in the kernel, and disks are slow
    if fault is not None:
        fault()
    work(assignments, also)


def finish(runs: Sequence[RunDirectory], **options: Any) -> None:
    """Let one worker execute these runs."""
    worker = execute(runs, **options)
    worker.join()
    assert worker.exitcode == 0


def wait_until(condition: Callable[[], Any], worker: ForkServerProcess | None = None) -> None:
    """Wait for something to become true; a test that waits for ever is stopped by whoever started it.

    Raises:
        AssertionError: the worker it depends on has ended before.
    """
    while not condition():
        assert worker is None or worker.is_alive() or condition(), "the worker has ended before"
        time.sleep(0.002)
