"""The manager's cost: seconds a run of 200 one-step runs beyond their own, with the local launcher.

python benchmarks/overhead.py    # a minute on two cores; at most 0.2 s a run

Cost: (wall time of the command x workers - the seconds that the runs' training took) / runs. What starts once a command
(imports, planning) is inside; the network is the smallest there is, so that the steps themselves are next to nothing.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TINY = (
    "arch=resnet",
    "arch.depth=8",
    "dataset=synthetic",
    "dataset.train_images=16",
    "dataset.test_images=16",
    "schedule.epochs=1",
    "schedule.batch_size=16",
    "runtime.device=cpu",
)


def measure(runs: int, workers: int) -> tuple[float, float, float]:
    """Seconds of the command, of the training in all runs together, and of the processors."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "taunode.train", "-m", *TINY, f"seed=range(0,{runs})"]
        options = [f"hydra.launcher.workers={workers}", "hydra.sweep.dir=sweep"]
        began = time.perf_counter()
        aside = os.environ | {"TMPDIR": directory}  # where no other command's runs hold the processors
        subprocess.run([*command, *options], cwd=directory, env=aside, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - began
        records = [json.loads(path.read_bytes()) for path in Path(directory).glob("sweep/runs/*/run.json")]
    assert len(records) == runs
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
    return wall, sum(record["summary"]["seconds"] for record in records), used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    wall, steps, used = measure(args.runs, args.workers)
    print(f"{args.runs} runs, {args.workers} workers: {wall:.1f} s, of which {steps:.1f} s training")
    cost, used = (wall * args.workers - steps) / args.runs, used / args.runs
    print(f"the manager's cost: {cost:.3f} s a run (processor time, training included: {used:.3f} s a run)")


if __name__ == "__main__":
    main()
