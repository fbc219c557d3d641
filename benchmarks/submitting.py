"""Seconds and files for planning and submitting 1,000 runs to Slurm, beside Hydra's own launcher in this environment.

python benchmarks/submitting.py    # 2 minutes; at most 20 s and 3,010 files

Starts a Slurm cluster on this machine (`make test-slurm` says what it needs); the jobs are held. Hydra's launcher
(pip install hydra-submitit-launcher) composes a configuration of one key; it would wait for the jobs for ever, so it
is stopped when all of them are in the queue.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from slurm.rig import Rig, missing  # noqa: E402 -- the tests' cluster

TINY = ("arch=resnet", "arch.depth=8", "dataset=synthetic", "schedule.epochs=2", "schedule.milestones=[]")
OURS = (sys.executable, "-m", "taunode.train", "-m", *TINY, "hydra/launcher=slurm", "hydra.sweep.dir=sweep")
APPLICATION = """
import hydra
from omegaconf import DictConfig

@hydra.main(version_base=None)
def main(config: DictConfig) -> None:
    pass

main()
"""


def files(directory: Path) -> int:
    return sum(not path.is_dir() for path in directory.rglob("*"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    if lacking := missing(accounting=False):
        sys.exit(f"no {', '.join(lacking)} here")
    with Rig(3, False, {"MaxArraySize": 1001, "MaxJobCount": 10000}) as rig, tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        began = time.perf_counter()
        command = [*OURS, f"seed=range(0,{runs})", "hydra.launcher.sbatch={hold: true}"]
        subprocess.run(command, cwd=directory, env=rig.environment, check=True, stdout=subprocess.DEVNULL)
        print(f"{runs} runs, taunode: {time.perf_counter() - began:.1f} s, {files(directory)} files", flush=True)
        rig.run("scancel", "--state=PENDING")
        plugins = importlib.util.find_spec("hydra_plugins")
        if plugins is None or importlib.util.find_spec("hydra_plugins.hydra_submitit_launcher") is None:
            sys.exit("Hydra's launcher is not here: pip install hydra-submitit-launcher")
        hydra = directory / "hydra"
        hydra.mkdir()
        (hydra / "application.py").write_text(APPLICATION)
        options = ("hydra/launcher=submitit_slurm", "+hydra.launcher.additional_parameters={hold: true}")
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "application.py", "-m", *options, f"+x=range(0,{runs})"],
            cwd=hydra,
            env=rig.environment,
            stdout=subprocess.DEVNULL,
        )
        while len(rig.run("squeue", "--noheader", "--array", "--format=%A").split()) < runs:
            if process.poll() is not None:
                sys.exit("Hydra's launcher has ended")
            time.sleep(0.1)
        print(f"{runs} jobs, Hydra's own launcher: {time.perf_counter() - began:.1f} s, {files(hydra)} files")
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
