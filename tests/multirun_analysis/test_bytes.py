"""Identical input gives identical bytes: of every table and figure, in whatever order sets and folders come."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from cli import environment
from synthetic import configuration, write_initialisations, write_runs

from multirun_analysis.figures.registry import FIGURES
from multirun_analysis.read.probes import QUANTITIES

SCRIPT = Path(__file__).with_name("outputs.py")


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory, grid_sweep: Path) -> Path:
    """Sweeps that fill every figure."""
    folder = tmp_path_factory.mktemp("bytes") / "sweeps"
    shutil.copytree(grid_sweep, folder / "grid", symlinks=True)
    write_initialisations(folder / "initialisation", (0.0, 0.5))
    configs = [configuration(depth, seed=seed) for depth in (8, 20, 32, 56) for seed in (0, 1)]
    for config in configs[::2]:
        config["schedule"]["lr"] = 0.2
    for run in write_runs(folder / "probed", configs):
        blocks = (run.read_config()["arch"]["depth"] - 2) // 2
        rows = [(0, step, "block", block) for step in (0, 50) for block in range(1, blocks)]
        table = pd.DataFrame([*rows, (0, 0, "head", blocks)], columns=["epoch", "step", "part", "block"])
        table.assign(**dict.fromkeys(QUANTITIES, 1.0 + table["block"])).to_parquet(run.probes(1))
    return folder


def made(sweeps: Path, **variables: str) -> dict[str, str]:
    found = subprocess.run(
        [sys.executable, str(SCRIPT), str(sweeps)],
        env=environment(**variables),
        check=True,
        capture_output=True,
        text=True,
    )
    return {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in found.stdout.splitlines()}


def test_every_output_has_the_same_bytes_another_time(sweeps: Path, tmp_path: Path) -> None:
    """With another hash seed, time zone and locale, and folders that were filled in another order."""
    first = made(sweeps, PYTHONHASHSEED="1", TZ="UTC", TAUNODE_CACHE=str(tmp_path / "cache"))
    assert {name.split()[1].rpartition(".")[0] for name in first} >= set(FIGURES), "a figure that none of these fills"
    os.rename(sweeps, aside := sweeps.with_name("aside"))
    for path in sorted(aside.rglob("*"), reverse=True):  # folders list what is in them in the order it came
        other = sweeps / path.relative_to(aside)
        other.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            other.symlink_to(path.readlink())
        elif path.is_file():
            shutil.copy2(path, other)
    again = made(sweeps, PYTHONHASHSEED="2", TZ="Asia/Tokyo", LC_ALL="C", TAUNODE_CACHE=str(tmp_path / "other"))
    assert again == first
