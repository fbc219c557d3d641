"""Bad weather at random: whatever happens to commands, jobs and files, every run is done once and right.

`TAUNODE_FAULTS` says how many faults there are (30 by default), `TAUNODE_FAULTS_SEED` which (0); a failure names the
round, which `TAUNODE_FAULTS_ROUND` repeats alone. With `TAUNODE_SLURM=1` an eighth of them are of a real Slurm's.
"""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import ROOT, SITE, Commands
from slurm.rig import Rig, missing
from stand_ins import StandIns

from campaign import in_slurm, local
from campaign.journal import Journal, table
from campaign.round import Round
from campaign.weather import Disk, Squeue

COUNT = int(os.environ.get("TAUNODE_FAULTS", "30"))
SEED = os.environ.get("TAUNODE_FAULTS_SEED", "0")
ROUND = os.environ.get("TAUNODE_FAULTS_ROUND")
IN_SLURM = COUNT // 8 if "TAUNODE_SLURM" in os.environ else 0
STEP = "0.03"  # seconds of a step of the stand-in's


@pytest.fixture(scope="module")
def journals() -> Iterator[list[Journal]]:
    made: list[Journal] = []
    yield made
    print(f"\n{table(made)}\nseed {SEED}")


def rounds(journal: Journal, count: int) -> Iterator[tuple[int, random.Random]]:
    """The numbers of rounds until there were so many faults, each with the chance that belongs to it."""
    number = 0 if ROUND is None else int(ROUND)
    while journal.total() < count:
        yield number, random.Random(f"{SEED} {journal.place} {number}")
        if ROUND is not None:
            return
        number += 1


def test_commands_on_this_machine(tmp_path: Path, journals: list[Journal]) -> None:
    journal = Journal("local")
    journals.append(journal)
    stand_ins = StandIns(tmp_path / "programs")
    squeue = Squeue(tmp_path / "programs")
    (tmp_path / "slots").mkdir()
    environment = {
        **stand_ins.environment,
        **squeue.environment,
        "TMPDIR": str(tmp_path / "slots"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "TAUNODE_TEST_SECONDS": STEP,
    }
    with (
        Disk(tmp_path / "disk", 256) as disk,
        Commands(tmp_path / "stepped", "stepped", torch=True, **environment) as stepped,
        Commands(tmp_path / "real", "real", **environment) as real,
    ):
        due = {name: local.reference(disk.path / name, one) for name, one in (("stepped", stepped), ("real", real))}
        for number, chance in rounds(journal, COUNT - IN_SLURM):
            training = chance.choice(["stepped", "stepped", "real"])
            sent = stand_ins if chance.random() < 0.5 else None
            folder = disk.path / str(number)
            folder.mkdir()
            one = {"stepped": stepped, "real": real}[training]
            left = min(local.FAULTS, COUNT - IN_SLURM - journal.total())
            made = local.LocalRound(folder, one, chance, journal, disk, due[training], squeue, sent=sent)
            go(made, number, left)
            print(f"local, round {number}: {training}, {journal.total()} faults until now")


def test_jobs_in_slurm(tmp_path: Path, journals: list[Journal]) -> None:
    if "TAUNODE_SLURM" not in os.environ:
        pytest.skip("starts a Slurm cluster: make faults")
    if lacking := missing(accounting=False):
        pytest.skip(f"no {', '.join(lacking)} here; Debian has them in slurmctld, slurmd, slurm-client, munge")
    journal = Journal("Slurm")
    journals.append(journal)
    with Disk(tmp_path / "disk", 256) as disk, Rig(in_slurm.NODES, False, {}) as rig:
        squeue = Squeue(tmp_path / "programs", str(shutil.which("squeue", path=rig.environment["PATH"])))
        environment = {
            **{name: value for name, value in rig.environment.items() if os.environ.get(name) != value},
            **squeue.environment,
            "PATH": f"{tmp_path / 'programs'}:{rig.environment['PATH']}",
            "PYTHONPATH": f"{SITE}:{ROOT}",
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "TAUNODE_TEST_TRAINING": "stepped",
            "TAUNODE_TEST_SECONDS": "0.15",
        }
        with Commands(tmp_path / "commands", "stepped", torch=True, **environment) as commands:
            due = in_slurm.reference(disk.path / "reference", commands)
            for number, chance in rounds(journal, IN_SLURM):
                folder = disk.path / str(number)
                folder.mkdir()
                left = min(in_slurm.FAULTS, IN_SLURM - journal.total())
                go(in_slurm.SlurmRound(folder, commands, chance, journal, disk, due, squeue, rig=rig), number, left)
                print(f"Slurm, round {number}: {journal.total()} faults until now")


def go(made: Round, number: int, faults: int) -> None:
    """A round; its directory is removed if all is well.

    Raises:
        AssertionError: all is not; how to repeat it, and what has happened.
    """
    try:
        made.go(faults)
    except Exception as error:
        again = f"TAUNODE_FAULTS_SEED={SEED} TAUNODE_FAULTS_ROUND={number}"
        lines = [f"{made.journal.place}, round {number} ({again})", *made.journal.told, str(error)]
        raise AssertionError("\n".join(lines)) from error
    shutil.rmtree(made.folder)
