"""A run that is killed at any moment and continued by the same command gives the same bytes as one that never was."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from harness import finish, plan, results, scaled, wait_until

from taunode.runs.directory import RunDirectory
from taunode.runs.observe import fingerprint, look
from taunode.runs.state import SIGNALS_IN_A_ROW, State
from taunode.training.checkpoint import furthest

SMALL = [
    "arch=resnet",
    "arch.depth=8",
    "dataset=digits",
    "dataset.crop_padding=1",
    "dataset.flip=true",
    "schedule.batch_size=64",
    "schedule.milestones=[3]",
]
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {  # runtime, overrides
    "batch norm, 1 thread": ({"threads": 1}, ["arch.norm=batch"]),
    "batch norm, 2 threads": ({"threads": 2}, ["arch.norm=batch"]),
    "learned tau, 1 thread": ({"threads": 1}, ["arch.norm=none", "tau=inverse_sqrt"]),
    "learned tau, 2 threads, holdout": ({"threads": 2}, ["arch.norm=none", "tau=inverse_sqrt", "dataset.holdout=37"]),
    "channels last, 1 thread": ({"threads": 1, "channels_last": True}, ["arch.norm=batch"]),
    "bf16, 1 thread": ({"threads": 1}, ["arch.norm=batch", "precision=bf16"]),
}
ONLY_IN_FULL = ("batch norm, 2 threads", "learned tau, 1 thread")


class Command:
    """`python -m taunode.train` for one run, in a process group of its own."""

    def __init__(self, run: RunDirectory, overrides: list[str]) -> None:
        arguments = [*overrides, f"hydra.run.dir={run.path}", "runtime.device=cpu", "runtime.checkpoint_seconds=0.05"]
        log = run.log(run.attempts() + 1 if run.path.exists() else 1)
        with open(run.path.with_suffix(".output"), "a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "taunode.train", *arguments],
                cwd=run.path.parent,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until(lambda: log.exists() or self.process.poll() is not None)

    def kill(self) -> None:
        """The worker and its child at once; the test fails if they have ended already."""
        assert self.process.poll() is None, "the run has ended before it could be killed"
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def is_mid_epoch(run: RunDirectory) -> bool:
    state = furthest(run.open_checkpoints())
    return state is not None and state["step"] > 0


only_in_full = pytest.mark.skipif(scaled(20) < 20, reason="TAUNODE_SCALE is below 1")


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=only_in_full) if case in ONLY_IN_FULL else case for case in CASES],
)
def test_killed_and_continued_is_byte_identical(case: str, tmp_path: Path) -> None:
    runtime, overrides = CASES[case]
    kills = scaled(20)
    overrides = [*SMALL, *overrides, f"schedule.epochs={8 + 2 * kills}"]
    (reference,) = plan(tmp_path / "reference", *overrides, tiny=())
    finish([reference], **runtime, checkpoint_seconds=0.05)
    seconds = reference.read_record().summary["seconds"]

    run, moments = RunDirectory(tmp_path / "run"), random.Random(case)
    command = [*overrides, "seed=0", *(f"runtime.{key}={value}" for key, value in runtime.items())]
    killed, in_vain, hit_mid_epoch = 0, 0, False
    while killed < kills or not hit_mid_epoch:
        before = fingerprint(run) if killed else []
        worker = Command(run, command)
        time.sleep(moments.uniform(0, seconds / (kills + 4)))
        if in_vain == SIGNALS_IN_A_ROW - 1:  # the third in a row without progress would count as the run's own fault
            wait_until(lambda before=before: fingerprint(run) != before)
        worker.kill()
        killed += 1
        in_vain = in_vain + 1 if fingerprint(run) == before else 0
        hit_mid_epoch = hit_mid_epoch or is_mid_epoch(run)
        assert look(run)[2] is State.PLANNED
    assert Command(run, command).process.wait() == 0

    assert results(run) == results(reference)
    assert run.attempts() == killed + 1
    logs = "".join(run.log(attempt).read_text() for attempt in range(1, killed + 2))
    assert re.search(r"goes on after epoch \d+ and [1-9]\d* steps", logs)
    assert not list(run.path.glob(".*.????????")), "files of killed writers are left"
    assert not run.checkpoints()
