"""Training steps against those of `plain.py`, alternately in one process: how many times as fast they are.

python benchmarks/steps.py                        # six networks, fp32 and bf16, ten rounds: some minutes on two cores
python benchmarks/steps.py --only rkhs --rounds 3

The steps are those of the training loop on batches that are there already, with `runtime` as it is by default. A line
says the median of the rounds' ratios, and the lowest and highest. With --out DIR, `steps.csv` is added to, and
`steps.md` written, with machine, versions and threads.
"""

import argparse
import csv
import platform
import statistics
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import plain
import torch
from torch import Tensor

from taunode import build
from taunode.api import compose
from taunode.plan.freeze import Freezer
from taunode.training.metrics import Means, sample_losses
from taunode.training.readback import Readback

WORK = {
    "rkhs": ("rkhs", 20, 256, ["arch=rkhs_node", "arch.layers=20", "dataset=mnist", "schedule=mnist_flow"]),
    "shl": ("shl", 20, 256, ["arch=shl_node", "arch.layers=20", "dataset=mnist", "schedule=mnist_flow"]),
    "resnet20": ("resnet", 20, 128, ["arch=resnet20", "dataset=cifar10"]),
    "resnet20_nobn": ("resnet_nobn", 20, 128, ["arch=resnet20_nobn", "tau=inverse_sqrt", "dataset=cifar10"]),
}


def ours(words: list[str], inputs: Tensor, labels: Tensor, bf16: bool) -> Iterator[float]:
    """Losses of the loop's steps on the same batch (`taunode.training.loop`)."""
    frozen, runtime = Freezer(Path.cwd()).freeze(compose(words))
    device = inputs.device
    model = build.network(frozen).to(device).train()
    if runtime.channels_last:
        model = model.to(memory_format=torch.channels_last)
    network = torch.compile(model) if runtime.compile else model
    optimizer, schedule = build.optimizer(frozen), build.schedule(frozen)
    updates, means, readback = optimizer.updates(model, None), Means(device), Readback(device)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    while True:
        with autocast:
            logits = network(inputs)
        losses = sample_losses(logits, labels)
        sums = means.sums(losses.detach(), logits.detach(), labels)
        readback.send(sums)
        updates.zero_grad()
        (losses.sum() * (1 / sums[0]).to(losses.dtype)).backward()
        samples, total, *_ = readback.read()
        updates.step(schedule.rate(0.5, 0.501))
        means.add(sums)
        yield total / samples


def seconds(steps: Iterator[float], count: int, device: torch.device) -> float:
    began = time.perf_counter()
    for _ in range(count):
        next(steps)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / count


def compare(name: str, bf16: bool, rounds: int, count: int, device: torch.device) -> dict[str, object]:
    kind, layers, batch, words = WORK[name]
    generator = torch.Generator().manual_seed(0)
    shape = (batch, 1, 28, 28) if "dataset=mnist" in words else (batch, 3, 32, 32)
    inputs = torch.randn(shape, generator=generator).to(device)
    labels = torch.randint(10, (batch,), generator=generator).to(device)
    theirs, own = plain.steps(kind, layers, inputs, labels, bf16), ours(words, inputs, labels, bf16)
    for steps in (theirs, own):
        seconds(steps, 2, device)  # what is done once
    pairs = [(seconds(theirs, count, device), seconds(own, count, device)) for _ in range(rounds)]
    ratios = sorted(theirs / own for theirs, own in pairs)
    return {
        "work": name,
        "precision": "bf16" if bf16 else "fp32",
        "plain_ms": round(1000 * statistics.median(pair[0] for pair in pairs), 1),
        "taunode_ms": round(1000 * statistics.median(pair[1] for pair in pairs), 1),
        "ratio": round(statistics.median(ratios), 3),
        "lowest": round(ratios[0], 3),
        "highest": round(ratios[-1], 3),
        "n": rounds,
    }


def machine(device: torch.device) -> dict[str, object]:
    processor = next(
        (line.split(":")[1].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "date": date.today().isoformat(),
        "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else processor,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def write(folder: Path, rows: list[dict[str, object]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    history = folder / "steps.csv"
    is_new = not history.exists()
    with history.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        if is_new:
            writer.writeheader()
        writer.writerows(rows)
    header = list(rows[0])
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows]
    (folder / "steps.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(WORK), action="append")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=3, help="of each in a round")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device, rows = torch.device(options.device), []
    for name in options.only or WORK:
        for bf16 in (False, True):
            row = compare(name, bf16, options.rounds, options.steps, device)
            rows.append(machine(device) | row)
            print(
                f"{name:<14} {row['precision']}  plain {row['plain_ms']:>8} ms  taunode {row['taunode_ms']:>8} ms  "
                f"{row['ratio']} times as fast ({row['lowest']} to {row['highest']}, n={row['n']})",
                flush=True,
            )
    if options.out is not None:
        write(options.out, rows)


if __name__ == "__main__":
    main()
