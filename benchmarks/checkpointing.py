"""Peak memory and seconds a step of resnet1202 with activation checkpointing and channels last, as it is by default,
against the plain computation.

python benchmarks/checkpointing.py    # 5 minutes on one core; memory must be at most 1/4, time at most 1.45 times

Training steps (SGD with momentum, batch 32 of 3 x 32 x 32), alternately in separate processes. Memory is the growth of
the process's largest resident size over what it is once the network and its optimizer are made. Time is the
processor's, on one thread, which other processes disturb less than the clock's; the first step is not timed.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

WAYS = {"plain": "null", "checkpointed": "auto"}


def largest_resident_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10  # bytes there, KiB on Linux


def measure(options: argparse.Namespace) -> dict[str, float]:
    """MiB above the baseline, and seconds a step, in this process."""
    import torch  # here, because a child's largest resident size is at least its parent's
    import torch.nn.functional as F

    from taunode.models.resnet import CifarResNet
    from taunode.models.tau import PowerLaw

    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = CifarResNet(
        depth=options.depth,
        norm=options.norm,
        tau=PowerLaw(1.0, 0.5, learn="shared" if options.norm == "none" else "none"),
        in_channels=3,
        image_size=32,
        classes=10,
        checkpoint_segments=json.loads(options.way) if options.way != "auto" else "auto",
    )
    if options.way == "auto":  # as runtime.channels_last=auto has it
        net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    images, labels = torch.randn(options.batch, 3, 32, 32), torch.randint(10, (options.batch,))
    baseline = largest_resident_mib()
    seconds = []
    for _ in range(1 + options.steps):
        start = time.process_time()
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()
        seconds.append(time.process_time() - start)
    return {"mib": largest_resident_mib() - baseline, "seconds": statistics.mean(seconds[1:])}


def alternately(rounds: int, *options: str) -> dict[str, list[dict[str, float]]]:
    """The measurements of each way."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            command = [sys.executable, __file__, *options, "--way", way]
            found[name].append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--depth", type=int, default=1202)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--norm", choices=["batch", "none"], default="batch")
    parser.add_argument("--way", help="arch.checkpoint_segments of one measurement, in this process")
    options = parser.parse_args()
    if options.way is not None:
        print(json.dumps(measure(options)))
        return
    found = alternately(options.rounds, *sys.argv[1:])
    means = {}
    for name, rows in found.items():
        means[name] = {key: statistics.mean(row[key] for row in rows) for key in ("mib", "seconds")}
        each = ", ".join(f"{row['seconds']:.2f}" for row in rows)
        print(f"{name:13} {means[name]['mib']:8,.0f} MiB {means[name]['seconds']:7.2f} s/step (n={len(rows)}: {each})")
    ratios = {key: means["checkpointed"][key] / means["plain"][key] for key in ("mib", "seconds")}
    print(f"{'ratio':13} {ratios['mib']:12.3f} {ratios['seconds']:7.2f}")


if __name__ == "__main__":
    main()
