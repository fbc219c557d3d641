"""A round on this machine: up to three commands at a time, with their workers."""

from pathlib import Path
from typing import Any, ClassVar

from commands import Commands
from harness import TINY
from stand_ins import StandIns

from campaign.judge import judge, undisturbed
from campaign.round import Round
from taunode.cluster.submission import submissions

RUNS = 12  # of a sweep
FAULTS = 24  # of a round, at most
SETTINGS = ("runtime.device=cpu", "runtime.lease_seconds=1", "runtime.checkpoint_seconds=0.001")
MULTIRUN = ("taunode", "-m", *TINY, *SETTINGS, f"seed=range(0,{RUNS})", "hydra.sweep.dir=sweep")


class LocalRound(Round):
    """Args:
    sent: the sweep has been sent to Slurm's stand-ins before, so that commands ask squeue about it.
    """

    weights: ClassVar = {"kill": 9, "stop": 8, "remove": 2, "fill": 2, "mood": 2, "another": 3, "cancel": 1, "look": 2}
    pause = (0.02, 0.25)
    lease = 1.0

    def __init__(self, *arguments: Any, sent: StandIns | None) -> None:
        super().__init__(*arguments)
        self.sent = sent

    def prepare(self) -> None:
        if self.sent is None:
            self.squeue = None
            return
        assert self.type(*MULTIRUN, "hydra/launcher=slurm").code == 0
        (one,) = submissions(self.sweep)[0]
        script = self.sweep.slurm / "submission_file.sh"
        self.sent.answer(f"5000|5000|PENDING|N/A|{one.name}|{script}|taunode={one.name}\n")

    def is_idle(self) -> bool:
        return not self.at_work

    def begin(self) -> None:
        names = set(self.sweep.named())
        words = self.chance.choice(
            [MULTIRUN, ("taunode-sweep", "resume", "sweep", "--here"), ("taunode-sweep", "worker", "sweep")]
        )
        if not names or words is MULTIRUN:
            self.start(MULTIRUN, set(self.due))
        else:
            self.start([*words, *self.chance.choice([(), ("--workers", "1"), ("--workers", "3")])], names)

    def end(self) -> None:
        ended = self.type(*MULTIRUN)
        assert ended.code == (0 if self.is_done() else 1), str(ended)
        ended = self.type("taunode-sweep", "resume", "sweep", "--here")
        assert ended.code == 0, str(ended)
        before = {run.path.name: run.attempts() for run in self.sweep}
        ended = self.type("taunode-sweep", "worker", "sweep")
        assert ended.code == 0, str(ended)
        assert before == {run.path.name: run.attempts() for run in self.sweep}, "what is done was begun again"
        judge(self.sweep.path, self.due)


def reference(folder: Path, commands: Commands) -> dict[str, dict[str, object]]:
    """The results of the sweep when nothing happens."""
    folder.mkdir()
    ended = commands.type(*MULTIRUN, cwd=folder)
    assert ended.code == 0, str(ended)
    return undisturbed(folder / "sweep")
