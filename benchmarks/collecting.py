"""Seconds for reading a sweep: cold, warm, after ten changed runs; and side by side with the loop everyone writes.

python benchmarks/collecting.py                      # 10,000 runs of 200 epochs: 20 s and 3 GB, 2 s, 3 s at most
python benchmarks/collecting.py --runs 1000 --loop   # at least 5 times as fast as the loop

Each reading is a process of its own, imports included, as a user waits.
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
import multirun_analysis
sweep = multirun_analysis.load(sys.argv[1])
rows = len(sweep.epochs)
wall, used = time.perf_counter() - began, time.process_time()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{len(sweep.runs)} runs, {rows} epochs: {wall:.2f} s ({used:.2f} s of processor time), {memory:.2f} GB")
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
print(f"{len(tables)} runs, {rows} epochs: {wall:.2f} s ({used:.2f} s of processor time)")
"""


def write(path: Path, runs: int, epochs: int) -> None:
    sys.path.insert(0, str(TESTS))
    from synthetic import Outcome, write_sweep

    taus = ((1.0, 0.0), (1.0, 0.25), (1.0, 0.5), (0.5, 0.5), (1.0, 1.0))
    seeds = range(runs // 20)
    write_sweep(path, (20, 32, 56, 110), taus, ("batch",), seeds, epochs, lambda config: Outcome(error=5.0))


def change(path: Path) -> None:
    for run in sorted((path / "runs").iterdir())[:10]:
        for name in ("run.json", "metrics.1.csv"):
            (run / "aside").write_bytes((run / name).read_bytes())
            os.replace(run / "aside", run / name)


def show(what: str, script: str, path: Path, cache: str) -> None:
    print(f"{what:<18}", end="", flush=True)
    environment = {**os.environ, "TAUNODE_CACHE": cache}
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="a multiple of 20")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--loop", action="store_true", help="alternate cold readings with the loop, three times")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "sweep"
        write(path, options.runs, options.epochs)
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
