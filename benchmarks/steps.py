"""Training steps against those of `plain.py`, alternately in one process: how many times as fast they are.

python benchmarks/steps.py                        # four networks, fp32 and bf16, ten rounds: some minutes on two cores
python benchmarks/steps.py --only rkhs --rounds 3
python benchmarks/steps.py --check                # 50 steps of both from the same weights: at most 1e-5 apart

The steps are those of the training loop on batches that are there already, with `runtime` as it is by default. A line
says the median of the rounds' ratios, and the lowest and highest. On one thread of a CPU time is the processor's, which
other processes disturb less than the clock's. A processor without instructions for bfloat16 is asked for fp32 only.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plain
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taunode import build
from taunode.api import compose
from taunode.models.ode import OdeNet
from taunode.plan.freeze import Freezer
from taunode.runs.runtime import Runtime
from taunode.training.metrics import Means, sample_losses
from taunode.training.readback import Readback
from taunode.work.automatic import decided

WORK = {
    "rkhs": ("rkhs", 20, 256, ["arch=rkhs_node", "arch.layers=20", "dataset=mnist", "schedule=mnist_flow"]),
    "shl": ("shl", 20, 256, ["arch=shl_node", "arch.layers=20", "dataset=mnist", "schedule=mnist_flow"]),
    "resnet20": ("resnet", 20, 128, ["arch=resnet20", "dataset=cifar10"]),
    "resnet20_nobn": ("resnet_nobn", 20, 128, ["arch=resnet20_nobn", "tau=inverse_sqrt", "dataset=cifar10"]),
}
TOLERANCE = 1e-5  # relative, after 50 steps in fp32


def frozen(words: list[str], device: torch.device) -> tuple[dict[str, Any], Runtime]:
    config, runtime = Freezer(Path.cwd()).freeze(compose([*words, f"runtime.device={device.type}"]))
    return config, decided(runtime, config)


def ours(words: list[str], inputs: Tensor, labels: Tensor, bf16: bool) -> Iterator[float]:
    """Losses of the loop's steps on the same batch (`taunode.training.loop`)."""
    config, runtime = frozen(words, inputs.device)
    model = build.network(config).to(inputs.device).train()
    if runtime.channels_last:
        model = model.to(memory_format=torch.channels_last)
    network = torch.compile(model) if runtime.compile else model
    updates = build.optimizer(config).updates(model, build.parametrization(config))
    schedule, means, readback = build.schedule(config), Means(inputs.device), Readback(inputs.device)
    autocast = torch.autocast(inputs.device.type, torch.bfloat16, enabled=bf16)
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
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    began = clock()
    for _ in range(count):
        next(steps)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (clock() - began) / count


def batch(name: str, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy images of ten patterns, and which."""
    channels, pixels = (1, 28) if WORK[name][0] in ("rkhs", "shl") else (3, 32)
    patterns = torch.randn(10, channels, pixels, pixels, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (size,), generator=generator)
    return patterns[labels] + torch.randn(size, channels, pixels, pixels, generator=generator), labels


def compare(name: str, bf16: bool, rounds: int, count: int, device: torch.device) -> dict[str, object]:
    kind, layers, size, words = WORK[name]
    inputs, labels = (tensor.to(device) for tensor in batch(name, size, 1))
    theirs, own = plain.steps(kind, layers, inputs, labels, bf16), ours(words, inputs, labels, bf16)
    for steps in (theirs, own):
        seconds(steps, 2, device)  # what is done once
    pairs = [(seconds(theirs, count, device), seconds(own, count, device)) for _ in range(rounds)]
    ratios = sorted(theirs / own for theirs, own in pairs)
    return {
        "work": f"step of {name}, batch {size}, {'bf16' if bf16 else 'fp32'}",
        "plain": round(statistics.median(pair[0] for pair in pairs), 4),
        "taunode": round(statistics.median(pair[1] for pair in pairs), 4),
        "unit": "s",
        "ratio": round(statistics.median(ratios), 3),
        "lowest": round(ratios[0], 3),
        "highest": round(ratios[-1], 3),
        "n": rounds,
    }


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Give plain's network the weights of ours."""
    if isinstance(source, OdeNet):
        field = source.field
        omega = [field.omega] if isinstance(field.omega, Tensor) else list(field.omega)
        pairs = [*zip(field.w, target.field.w.parameters(), strict=True)]
        pairs += zip(omega, target.field.omega.parameters(), strict=True)
        target.input.load_state_dict(source.embedding.input.state_dict())
        target.output.load_state_dict(source.embedding.output.state_dict())
    else:
        pairs = [*zip(source.parameters(), target.parameters(), strict=True)]
    for own, theirs in pairs:
        theirs.detach().copy_(own.detach())


def difference(name: str, size: int = 32, count: int = 50) -> float:
    """How far the losses of so many fp32 steps are apart, from the same weights on the same batches: the largest
    relative difference.

    In plain's memory format: another one rounds otherwise, by 1e-7 in the first step, which batch normalisation makes
    1e-2 of within 50. At a tenth of the schedule's rate, at which losses stay far from 0.
    """
    kind, layers, _, words = WORK[name]
    config, _ = frozen(words, torch.device("cpu"))
    model, theirs = build.network(config).train(), plain.network(kind, layers).train()
    copy_weights(model, theirs)
    chosen, rate = config["optimizer"], build.schedule(config).rate(0.5, 0.501) / 10
    updates = build.optimizer(config).updates(model, build.parametrization(config))
    optimizer = plain.sgd(theirs, rate, chosen["momentum"], chosen["weight_decay"])
    largest = 0.0
    for number in range(count):
        inputs, labels = batch(name, size, number + 1)
        updates.zero_grad()
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        updates.step(rate)
        expected = plain.step(theirs, optimizer, inputs, labels, bf16=False)
        largest = max(largest, abs(loss.item() - expected) / expected)
    return largest


def has_bf16(device: torch.device) -> bool:
    """Whether there are instructions for it, instead of an emulation that takes twenty times as long."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return device.type != "cpu" or "avx512_bf16" in flags or "bf16" in flags.split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(WORK), action="append")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=3, help="of each in a round")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--check", action="store_true", help="compare losses instead of times")
    options = parser.parse_args()
    device = torch.device(options.device)
    for name in options.only or WORK:
        if options.check:
            found = difference(name)
            print(f"{name:<14} losses of 50 steps: {found:.1e} apart", flush=True)
            if not found <= TOLERANCE:
                raise SystemExit(f"{name}: more than {TOLERANCE} apart")
            continue
        for bf16 in (False, True) if has_bf16(device) else (False,):
            row = compare(name, bf16, options.rounds, options.steps, device)
            print(
                f"{row['work']:<40} plain {row['plain']:.3f} s  taunode {row['taunode']:.3f} s  "
                f"{row['ratio']} times as fast ({row['lowest']} to {row['highest']}, n={row['n']})",
                flush=True,
            )


if __name__ == "__main__":
    main()
