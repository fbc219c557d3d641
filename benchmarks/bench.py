"""One table of how fast taunode is beside `plain.py`, each line measured alternately in this one run.

python benchmarks/bench.py --data DIR               # DIR holds MNIST as torchvision keeps it; half an hour on two cores
python benchmarks/bench.py --only steps --rounds 3  # part of it
python benchmarks/bench.py --data DIR --images 6000 # the sweep with fewer training images

`history.csv` is added to, `results.md` has the newest line of each work. `ratio` is plain's time (or
memory) divided by taunode's, the median of n rounds between the lowest and highest; a line without `plain` is taunode's
own figure. Steps use one thread and processor time, so run it with OMP_NUM_THREADS=1.
"""

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import checkpointing
import overhead
import steps
import torch

HERE = Path(__file__).parent
COLUMNS = ("date", "machine", "threads", "torch", "python", "work")
VALUES = ("plain", "taunode", "unit", "ratio", "lowest", "highest", "n")
Row = dict[str, object]
SWEEP = (("rkhs", 5), ("rkhs", 10), ("shl", 5))
FEW = """
from dataclasses import dataclass, replace
from taunode.data.sets import Mnist

@dataclass(frozen=True, kw_only=True)
class Few(Mnist):
    images: int

    def facts(self, root, cache=None):
        shape = dict(channels=1, image_size=28, classes=10)
        return self._agreed(**shape, train_images=self.images, fingerprint=f"few {self.images}")

    def _read(self, root):
        train, test = super()._read(root)
        return replace(train, pixels=train.pixels[: self.images], labels=train.labels[: self.images]), test
"""


def row(work: str, plain: list[float], taunode: list[float], unit: str) -> Row:
    pairs = zip(plain, taunode, strict=True)
    ratios = sorted(theirs / own for theirs, own in pairs) if plain else sorted(taunode)
    return {
        "work": work,
        "plain": round(statistics.median(plain), 3) if plain else "",
        "taunode": round(statistics.median(taunode), 3),
        "unit": unit,
        "ratio": round(statistics.median(ratios), 3) if plain else "",
        "lowest": round(ratios[0], 3),
        "highest": round(ratios[-1], 3),
        "n": len(taunode),
    }


def of_steps(options: argparse.Namespace) -> Iterator[Row]:
    device = torch.device("cpu")
    for name in steps.WORK:
        for bf16 in (False, True) if steps.has_bf16(device) else (False,):
            yield steps.compare(name, bf16, options.rounds, 1, device)


def of_losses(options: argparse.Namespace) -> Iterator[Row]:
    for name in steps.WORK:
        found = steps.difference(name)
        yield row(f"{name}: losses of 50 steps, difference from plain, 1e-5", [], [found * 1e5], "1e-5")


def of_deep(options: argparse.Namespace) -> Iterator[Row]:
    found = checkpointing.alternately(max(1, options.rounds // 5), "--steps", "1")
    for name, unit in (("mib", "MiB"), ("seconds", "s")):
        plain, ours = ([one[name] for one in found[way]] for way in ("plain", "checkpointed"))
        yield row(f"ResNet-1202, batch 32, {unit}", plain, ours, unit)


def of_sweep(options: argparse.Namespace) -> Iterator[Row]:
    if options.data is None:
        print("the sweep is left out: --data DIR says where MNIST lies")
        return
    count = 60_000 if options.images is None else options.images
    plain, ours = [], []
    for _ in range(max(1, options.rounds // 10)):
        began = time.perf_counter()
        for name, layers in SWEEP:
            words = [name, "--layers", layers, "--epochs", 2, "--data", options.data, "--images", count]
            run(HERE / "plain.py", *words)
        plain.append(time.perf_counter() - began)
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "few.py").write_text(FEW)
            (Path(place) / "dataset").mkdir()
            text = f"defaults: [mnist, _self_]\n_target_: few.Few\nimages: {count}\n"
            (Path(place) / "dataset" / "few.yaml").write_text(text)
            words = ["--config-dir", place, "-m", "dataset=few", "schedule=mnist_flow", "schedule.epochs=2"]
            words += ["schedule.milestones=[]", f"runtime.data_root={options.data}", "arch=rkhs_node,shl_node"]
            where = 'arch.layers == 5 or arch._target_ == "taunode.models.ode.RkhsNode"'
            words += ["arch.layers=5,10", f"hydra.sweeper.where='{where}'"]
            began = time.perf_counter()
            run("-m", "taunode.train", *words, f"hydra.sweep.dir={place}/sweep", aside=place)
            analysis = "import multirun_analysis.command as command; command.main()"
            run("-c", analysis, "table", f"{place}/sweep")
            ours.append(time.perf_counter() - began)
    yield row(f"sweep RKHS 5, 10, SHL 5 layers, MNIST, {count} images, 2 epochs", plain, ours, "s")


def of_start(options: argparse.Namespace) -> Iterator[Row]:
    found = []
    for _ in range(options.rounds):
        began = time.perf_counter()
        run("-c", "import torch")
        imported = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as place:
            began = time.perf_counter()
            words = ["arch=resnet20", "dataset=digits", "schedule.epochs=1", f"hydra.run.dir={place}/run"]
            run("-m", "taunode.train", *words, aside=place)
            whole = time.perf_counter() - began
            training = json.loads((Path(place) / "run" / "run.json").read_bytes())["summary"]["seconds"]
        found.append(whole - imported - training)
    yield row("taunode arch=resnet20 dataset=digits schedule.epochs=1, less import torch and training", [], found, "s")


def of_manager(options: argparse.Namespace) -> Iterator[Row]:
    runs, workers, found = 200, 2, []
    for _ in range(max(1, options.rounds // 5)):
        wall, training, _ = overhead.measure(runs, workers)
        found.append((wall * workers - training) / runs)
    yield row(f"manager: {runs} one-step runs, local, a run", [], found, "s")


PARTS = {
    "steps": of_steps,
    "losses": of_losses,
    "deep": of_deep,
    "start": of_start,
    "manager": of_manager,
    "sweep": of_sweep,
}


def run(*words: object, aside: str | None = None) -> None:
    """Run a Python command; `aside` is where it keeps temporary files: it then waits for no other command's runs."""
    environment = os.environ | ({} if aside is None else {"TMPDIR": aside})
    subprocess.run([sys.executable, *map(str, words)], check=True, stdout=subprocess.DEVNULL, env=environment)


def here() -> Row:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "date": date.today().isoformat(),
        "machine": f"{names[0] if names else platform.processor()}, {os.cpu_count()} processors",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def to_markdown(history: Path) -> str:
    """The newest line of each work."""
    with history.open(newline="") as file:
        newest = {one["work"]: one for one in csv.DictReader(file)}
    names = ("work", *VALUES, *COLUMNS[:-1])
    lines = ["| " + " | ".join(names) + " |", "|---|" + "---:|" * len(VALUES) + "---|" * (len(COLUMNS) - 1)]
    lines += ["| " + " | ".join(one[name] for name in names) + " |" for one in newest.values()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(PARTS), action="append")
    parser.add_argument("--rounds", type=int, default=10, help="of steps and starts; of what takes longer, fewer")
    parser.add_argument("--data", type=Path, help="where MNIST lies; without it there is no sweep")
    parser.add_argument("--images", type=int, help="to train with in the sweep; else all 60,000")
    parser.add_argument("--out", type=Path, default=HERE, help="where history.csv and results.md are")
    options = parser.parse_args()
    if options.data is not None:
        options.data = options.data.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    history = options.out / "history.csv"
    for name in options.only or PARTS:
        for one in PARTS[name](options):
            print(json.dumps(one, ensure_ascii=False), flush=True)
            is_new = not history.exists()
            with history.open("a", newline="") as file:
                writer = csv.DictWriter(file, [*COLUMNS, *VALUES], lineterminator="\n")
                if is_new:
                    writer.writeheader()
                writer.writerow(here() | one)
            (options.out / "results.md").write_text(to_markdown(history))


if __name__ == "__main__":
    main()
