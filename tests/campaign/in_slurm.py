"""A round in a real Slurm: arrays of a sweep, commands beside them, and what happens to jobs and nodes."""

import signal
import time
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from commands import Commands
from slurm.cluster import TINY
from slurm.rig import Rig

from campaign.judge import judge, undisturbed
from campaign.round import Round

NODES = 3
RUNS = 10  # of a sweep
FAULTS = 20  # of a round, at most
PLAIN = ("taunode", "-m", *(word for word in TINY if "launcher" not in word), f"seed=range(0,{RUNS})")
MULTIRUN = (
    *PLAIN,
    "runtime.lease_seconds=2",
    "hydra.sweep.dir=sweep",
    "hydra/launcher=slurm",
    "hydra.launcher.memory=400M",
    "hydra.launcher.array_parallelism=5",
)
WAIT = "hydra.launcher.wait=true"
RESUME = ("taunode-sweep", "resume", "sweep")
PATIENCE = 400.0  # seconds until a queue that does not empty has come to a standstill
SIGNALS_TO_JOBS = ("KILL", "TERM", "INT", "USR2")
TO_JOBS_AND_NODES = {"requeue": 5, "preempt": 2, "scancel": 2, "signal_job": 5, "down": 2, "crash": 2, "cut_off": 2}
TO_OTHERS = {"kill": 3, "stop": 3, "remove": 2, "fill": 2, "mood": 3, "another": 3, "cancel": 1, "look": 2}


class Job(NamedTuple):
    """A task at work: as Slurm shows it, its raw number, and its node's."""

    shown: str
    raw: str
    node: int


class SlurmRound(Round):
    weights: ClassVar = TO_JOBS_AND_NODES | TO_OTHERS
    pause = (0.1, 1.0)
    lease = 2.0

    def __init__(self, *arguments: Any, rig: Rig) -> None:
        super().__init__(*arguments)
        self.rig = rig
        self.away: set[int] = set()  # nodes

    def prepare(self) -> None:
        planned = self.type(*MULTIRUN)
        assert planned.code == 0, str(planned)

    def jobs(self) -> list[Job]:
        """The tasks at work in nodes that are there."""
        text = self.rig.run("squeue", "--noheader", "--partition=debug", "--states=RUNNING", "--format=%i %A %N")
        found = [Job(shown, raw, int(node[1:])) for shown, raw, node in map(str.split, text.splitlines())]
        return [one for one in found if one.node not in self.away]

    def is_idle(self) -> bool:
        return not self.at_work and not self.rig.run("squeue", "--noheader").strip()

    def begin(self) -> None:
        names = set(self.sweep.named())
        words = self.chance.choice([MULTIRUN, MULTIRUN, RESUME, ("taunode-sweep", "worker", "sweep")])
        if not names or words is MULTIRUN:
            wait = self.chance.random() < 0.3
            self.start([*MULTIRUN, WAIT] if wait else MULTIRUN, set(self.due) if wait else set())
        elif words is RESUME:
            self.start(RESUME, set())
        else:
            self.start(words, names)

    # Faults of jobs and nodes

    def job(self) -> Job | None:
        jobs = self.jobs()
        return self.chance.choice(jobs) if jobs else None

    def requeue(self) -> bool:
        return self._tell("scontrol requeue", "scontrol", "requeue")

    def scancel(self) -> bool:
        return self._tell("scancel", "scancel")

    def signal_job(self) -> bool:
        name = self.chance.choice(SIGNALS_TO_JOBS)
        return self._tell(f"scancel --signal={name}", "scancel", f"--signal={name}")

    def _tell(self, kind: str, *command: str) -> bool:
        if (job := self.job()) is None:
            return False
        self.journal.fault(kind, job.shown)
        self.rig.run(*command, job.shown, check=False)  # it may have ended since
        return True

    def preempt(self) -> bool:
        """A job of the partition `urgent` wants the task's whole node."""
        if (job := self.job()) is None:
            return False
        self.journal.fault("preemption", f"{job.shown} on n{job.node}")
        wanted = ("--partition=urgent", f"--nodelist=n{job.node}", "--exclusive", "--output=/dev/null")
        self.rig.run("sbatch", *wanted, "--wrap=sleep 1", check=False)
        return True

    def down(self) -> bool:
        if (job := self.job()) is None:
            return False
        self.journal.fault("node down and up", f"n{job.node}")
        self._set(job.node, "down")
        self._back(job.node, lambda: self._set(job.node, "resume"))
        return True

    def _set(self, node: int, state: str) -> None:
        self.rig.run("scontrol", "update", f"nodename=n{node}", f"state={state}", "reason=weather", check=False)

    def _back(self, node: int, then: Any) -> None:
        self.away.add(node)

        def back() -> None:
            then()
            self.away.discard(node)
            self.journal.note(f"n{node} is back")

        self.later.append((time.monotonic() + self.chance.uniform(0.5, 4.0), back))

    def crash(self) -> bool:
        if (job := self.job()) is None:
            return False
        self.journal.fault("node crashes", f"n{job.node}")
        self.rig.crash(job.node)
        self._back(job.node, lambda: self.rig.start_node(job.node))
        return True

    def cut_off(self) -> bool:
        """The node cannot be reached for a while; its processes go on, or are asleep."""
        if (job := self.job()) is None:
            return False
        self.journal.fault("node cut off", f"n{job.node}")
        self.rig.cut_off(job.node)
        if self.chance.random() < 0.5:
            self.sleepers.stop(self.rig.tasks(job.raw), self.chance.uniform(0, 2 * self.lease))
        self._back(job.node, lambda: self.rig.start_node(job.node))
        return True

    def strike(self, number: signal.Signals, seconds: float = 0.0) -> bool:
        """Processes of a task, or of a command."""
        job = self.job()
        pids = self.rig.tasks(job.raw) if job is not None else []
        if not pids or self.chance.random() < 0.2:
            return super().strike(number, seconds)
        if self.chance.random() < 0.5:
            pids = [self.chance.choice(pids)]
        self.send(pids, number, seconds, "one process of a task" if len(pids) == 1 else "all processes of a task")
        return True

    # The end

    def calm(self) -> None:
        super().calm()
        self.settle()

    def settle(self) -> None:
        """Wait until the queue is empty; an administrator brings nodes back and lets held jobs go."""
        until = time.monotonic() + PATIENCE
        while self.rig.run("squeue", "--noheader").strip():
            assert time.monotonic() < until, f"a standstill\n{self.rig.run('squeue')}"
            self.heal()
            time.sleep(0.3)
        self.heal()

    def heal(self) -> None:
        for line in self.rig.run("sinfo", "--noheader", "--Node", "--partition=debug", "--format=%N %T").splitlines():
            name, state = line.split()
            if "drain" in state or "down" in state:
                self._set(int(name[1:]), "resume")
        for line in self.rig.run("squeue", "--noheader", "--states=PENDING", "--format=%i %r").splitlines():
            job, _, reason = line.partition(" ")
            if "held" in reason.lower():
                self.journal.note(f"{job} is released: {reason}")
                self.rig.run("scontrol", "release", job, check=False)

    def end(self) -> None:
        ended = self.type(*MULTIRUN, WAIT, seconds=PATIENCE)
        assert ended.code == (0 if self.is_done() else 1), str(ended)
        ended = self.type(*RESUME, WAIT, seconds=PATIENCE)
        assert ended.code == 0, str(ended)
        self.settle()
        judge(self.sweep.path, self.due)


def reference(folder: Path, commands: Commands) -> dict[str, dict[str, object]]:
    """The results of the sweep when nothing happens, here."""
    folder.mkdir()
    ended = commands.type(*PLAIN, "hydra.sweep.dir=sweep", cwd=folder)
    assert ended.code == 0, str(ended)
    return undisturbed(folder / "sweep")
