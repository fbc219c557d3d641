"""Seconds for reading a sweep and making its table: cold, warm, after ten changed runs; side by side with a loop.

python benchmarks/collecting.py                              # 10,000 runs of 200 epochs: at most 5 s cold, 1.5 s warm
python benchmarks/collecting.py --runs 100000 --epochs 20    # at most 60 s cold, 10 s warm, 3 GB
python benchmarks/collecting.py --runs 20000 --epochs 0 --cells 20000   # planned: cells and table at most 2 s
python benchmarks/collecting.py --runs 1000 --loop           # at least 5 times as fast as the loop everyone writes

The floors are of processor time, imports included. Each reading is a process of its own, as a user waits.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests" / "multirun_analysis"

READ = """
import resource, sys, time
began = time.perf_counter()
import multirun_analysis as ma
sweep = ma.load(sys.argv[1])
rows = len(sweep.epochs)
read = time.process_time()
cells = ma.cells(sweep.runs)
of_cells = time.process_time() - read
ma.table(sweep).content("csv")
wall, used = time.perf_counter() - began, time.process_time()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{len(sweep.runs)} runs, {rows} epochs, {len(cells)} cells: {used:.2f} s of processor time ({wall:.2f} s), "
      f"of it read {read:.2f}, cells {of_cells:.2f}, table {used - read - of_cells:.2f}; {memory:.2f} GB")
"""

LOOP = """
import glob, os, sys, time
began = time.perf_counter()
import pandas as pd
from omegaconf import OmegaConf
tables = []
for path in sorted(glob.glob(os.path.join(sys.argv[1], "runs", "*"))):
    config = OmegaConf.load(os.path.join(path, "config.yaml"))
    table = pd.read_csv(os.path.join(path, "metrics.csv"))
    table["depth"], table["exponent"], table["seed"] = config.arch.depth, config.tau.exponent, config.seed
    tables.append(table)
rows = len(pd.concat(tables))
wall, used = time.perf_counter() - began, time.process_time()
print(f"{len(tables)} runs, {rows} epochs: {used:.2f} s of processor time ({wall:.2f} s)")
"""


def write(path: Path, runs: int, epochs: int, cells: int = 20) -> None:
    """A sweep of `cells` with as many seeds each; without epochs it is planned.

    A run a cell is written as the tests write it, the others are its files with another seed and signature.
    """
    sys.path.insert(0, str(TESTS))
    from synthetic import Outcome, configuration, write_runs

    outcome = Outcome(error=5.0) if epochs else Outcome("planned")
    configs = []
    for cell in range(cells):
        config = configuration((20, 32, 56, 110)[cell % 4], (1.0, (0.0, 0.25, 0.5, 1.0)[cell // 4 % 4]), epochs=epochs)
        config["schedule"]["lr"] = 0.1 + cell // 16 / 1000
        configs.append(config)
    for first in write_runs(path, configs, lambda config: outcome):
        sign = first.read_record().signature
        files = {entry: entry.read_bytes() for entry in first.path.iterdir() if not entry.is_symlink()}
        links = {entry.name: os.readlink(entry) for entry in first.path.iterdir() if entry.is_symlink()}
        for seed in range(1, runs // cells):
            other = f"{int(sign[:16], 16) ^ seed:016x}{sign[16:]}"
            name = first.path.name.replace("seed=0", f"seed={seed}").replace(sign[:8], other[:16])
            os.mkdir(path / "runs" / name)
            for file, content in files.items():
                if file.name == "config.yaml":
                    content = content.replace(b"\nseed: 0\n", f"\nseed: {seed}\n".encode())
                elif file.name == "run.json":
                    content = content.replace(first.path.name.encode(), name.encode())
                    content = content.replace(sign.encode(), other.encode())
                (path / "runs" / name / file.name).write_bytes(content)
            for link, target in links.items():
                os.symlink(target, path / "runs" / name / link)


def change(path: Path) -> None:
    for run in sorted((path / "runs").iterdir())[:10]:
        for file in (run / "run.json", run / "metrics.1.csv"):
            if file.exists():
                (run / "aside").write_bytes(file.read_bytes())
                os.replace(run / "aside", file)


def show(what: str, script: str, path: Path, cache: str) -> None:
    print(f"{what:<14}", end="", flush=True)
    environment = {**os.environ, "TAUNODE_CACHE": cache}
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="a multiple of --cells")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--loop", action="store_true", help="alternate cold readings with the loop, three times")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "sweep"
        write(path, options.runs, options.epochs, options.cells)
        if options.loop:
            for number in range(3):
                show("the loop", LOOP, path, directory)
                show("cold", READ, path, f"{directory}/cache-{number}")
            return
        show("cold", READ, path, f"{directory}/cache")
        show("warm", READ, path, f"{directory}/cache")
        change(path)
        show("ten changed", READ, path, f"{directory}/cache")


if __name__ == "__main__":
    main()
