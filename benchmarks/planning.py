"""Seconds for planning 1,000 runs, for the same command again, and for the status of them.

python benchmarks/planning.py    # 20 s; at most 15 s to plan and write, 2 s for the status

The grid: 4 architectures x 5 factors x 50 seeds. Each part is a process of its own, imports included, as a user waits.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time

GRID = ("arch=resnet20,resnet56,resnet110,resnet110_nobn", "tau=one,inverse_sqrt,inverse_quarter,inverse,constant")
SWEEP = "from taunode.command.sweep import main; main()"


def seconds(*arguments: str, cwd: str) -> tuple[float, float]:
    """Wall and processor time of one `taunode-sweep` command; a busy machine makes only the first one longer."""
    began, used = time.perf_counter(), processor_seconds()
    subprocess.run([sys.executable, "-c", SWEEP, *arguments], cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began, processor_seconds() - used


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50, help="a cell; 20 times as many runs")
    seeds = parser.parse_args().seeds
    command = ("plan", *GRID, f"seed=range(0,{seeds})", "hydra.sweep.dir=sweep")
    with tempfile.TemporaryDirectory() as directory:
        for what, arguments in (
            ("plan without writing", (*command, "--dry-run")),
            ("plan and write", command),
            ("the same command again", command),
            ("status", ("status", "sweep")),
        ):
            wall, used = seconds(*arguments, cwd=directory)
            print(f"{20 * seeds} runs, {what}: {wall:.2f} s ({used:.2f} s of processor time)", flush=True)


if __name__ == "__main__":
    main()
