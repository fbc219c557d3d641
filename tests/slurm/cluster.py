"""What a user does at a cluster: commands in a directory of their own, and a look at the runs and at the queue."""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slurm.rig import Rig
from taunode.cluster.submission import InSlurm, look_again, submissions
from taunode.runs.directory import RunDirectory, SweepDirectory, sweep_of

ROOT = Path(__file__).parents[2]
SITE = Path(__file__).parent / "site"
TINY = (
    "arch=resnet",
    "arch.depth=8",
    "arch.norm=none",
    "dataset=synthetic",
    "dataset.train_images=64",
    "dataset.test_images=16",
    "schedule.epochs=2",
    "schedule.batch_size=16",
    "schedule.milestones=[]",
    "runtime.device=cpu",
    "runtime.lease_seconds=5",
    "runtime.checkpoint_seconds=0.001",
    "hydra/launcher=slurm",
    "hydra.launcher.memory=400M",
    "hydra.launcher.array_parallelism=3",
)
LIMIT = 600.0  # seconds of waiting, after which a cluster has come to a standstill


class Cluster:
    """A rig, and a folder in which commands are typed.

    Attributes:
        diary: where quick runs write who has executed them.
    """

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig, self.folder, self.diary = rig, folder, folder / "diary"

    def environment(self, **changes: str) -> dict[str, str]:
        path = f"{SITE}:{ROOT}"
        return {
            **self.rig.environment,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": path,
            "TAUNODE_TEST_DIARY": str(self.diary),
            **changes,
        }

    def start(self, *arguments: str, program: str = "taunode.train", **changes: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", program, *arguments]
        if program == "taunode-sweep":
            command = [sys.executable, "-c", "from taunode.command.sweep import main; main()", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(**changes),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def taunode(self, *arguments: str, code: int = 0, program: str = "taunode.train", **changes: str) -> str:
        """Type a command; it must end with `code`. Returns what it prints."""
        process = self.start(*arguments, program=program, **changes)
        out, err = process.communicate()
        assert process.returncode == code, f"exit {process.returncode}\n{out}\n{err}"
        return out + err

    def sweep(self, *arguments: str, code: int = 0, **changes: str) -> str:
        """Type a `taunode-sweep` command."""
        return self.taunode(*arguments, code=code, program="taunode-sweep", **changes)

    def runs(self, sweep: str) -> list[RunDirectory]:
        return list(SweepDirectory(self.folder / sweep))

    def run(self, sweep: str, seed: int) -> RunDirectory:
        (found,) = [run for run in self.runs(sweep) if run.read_config()["seed"] == seed]
        return found

    def states(self, sweep: str) -> dict[str, str]:
        """The states of the runs by seed, as `status` sees them."""
        os.environ["SLURM_CONF"] = self.rig.environment["SLURM_CONF"]
        look_again()
        slurm = InSlurm.of(sweep_of(self.folder / sweep))
        return {str(run.read_config()["seed"]): str(slurm.look(run)[2]) for run in self.runs(sweep)}

    def counts(self, sweep: str) -> dict[str, int]:
        return dict(Counter(self.states(sweep).values()))

    def wait(self, condition: Callable[[], Any], seconds: float = LIMIT) -> Any:
        """Wait for something to become true; returns it."""
        until = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < until, f"a standstill\n{self.rig.run('squeue')}\n{self.logs()}"
            time.sleep(0.1)
        return found

    def arrays(self, sweep: str) -> set[str]:
        """The numbers of all job arrays that were sent for a sweep."""
        known, _ = submissions(SweepDirectory(self.folder / sweep))
        return {array.job for one in known for array in one.arrays if array.job is not None}

    def ended(self, sweep: str) -> bool:
        """Whether the queue holds nothing of a sweep."""
        sent = self.arrays(sweep)
        return bool(sent) and not sent & set(self.rig.run("squeue", "--noheader", "--format=%F").split())

    def finish(self, sweep: str) -> dict[str, str]:
        """Wait until the queue holds nothing of a sweep; returns the states by seed."""
        self.wait(lambda: self.ended(sweep))
        return self.states(sweep)

    def jobs(self, sweep: str) -> dict[str, str]:
        """Slurm's own state of each task of a sweep, by sacct or from the controller's memory."""
        sent = self.arrays(sweep)
        text = self.rig.run("scontrol", "--oneliner", "show", "job")
        found = {}
        for line in text.splitlines():
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if words.get("ArrayJobId") in sent:
                found[f"{words.get('ArrayJobId')}_{words.get('ArrayTaskId')}"] = words["JobState"]
        return found

    def accounted(self, sweep: str) -> Counter[str]:
        """sacct's states of a sweep's tasks."""
        jobs = ",".join(sorted(self.arrays(sweep)))
        text = self.rig.run("sacct", "-nPX", f"--jobs={jobs}", "--format=state", "--starttime=now-1hours")
        return Counter(line.split()[0] for line in text.splitlines())

    @property
    def user(self) -> str:
        return self.rig.run("id", "-un").strip()

    def limit(self, entity: str, name: str, limit: str, value: int) -> None:
        """Set a limit of an account or a user, and wait until the controller knows; −1 removes it."""
        self.rig.run("sacctmgr", "--immediate", "modify", entity, name, "set", f"{limit}={value}")

        def known() -> bool:
            words = self.rig.run("scontrol", "show", "assoc_mgr", f"{entity}s={name}", "flags=assoc").split()
            if value < 0:
                return not any(re.match(rf"{limit}=\d", word) for word in words)
            return any(word.startswith(f"{limit}={value}") for word in words)

        self.wait(known)

    def raw_job(self, sweep: str, seed: int) -> str:
        """The raw number of the job that a run is at work in."""
        run = self.run(sweep, seed)
        owner = json.loads(run.claim(run.attempts()).read_bytes())["owner"]
        return str(owner["slurm"]["id"])

    def entries(self) -> list[tuple[str, int, str, str]]:
        """What the diary says: run, attempt, array, index."""
        if not self.diary.exists():
            return []
        return [tuple(json.loads(line)) for line in self.diary.read_text().splitlines()]

    def logs(self) -> str:
        paths = sorted(self.folder.glob("*/slurm/*log.err"), key=lambda path: path.stat().st_mtime)[-5:]
        return "\n".join(f"== {path}\n{path.read_text()[-1500:]}" for path in paths)
