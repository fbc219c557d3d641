"""How fast networks are trained on a GPU: images a second, GFLOP/s and the share of the device's peak, as Markdown."""

import time
from typing import cast

import torch
from gpu_setting import NETWORKS, Setting, frozen, images_of
from torch import nn

from taunode import build
from taunode.training.metrics import sample_losses
from taunode.work.cost import flops_of_image, peak

MNIST, IMAGENET = ("dataset.channels=1", "dataset.image_size=28"), ("dataset.image_size=224", "dataset.classes=1000")
SPEEDS = {  # name → words, batch
    "resnet20": (("arch=resnet20", "dataset.image_size=32"), 128),
    "resnet110": (("arch=resnet110", "dataset.image_size=32"), 128),
    "RKHS, 20 layers": (("arch=rkhs_node", "arch.layers=20", *MNIST), 256),
    "resnet50": (("arch=resnet50", *IMAGENET), 64),
    "resnet1202": (("arch=resnet1202", "dataset.image_size=32"), 128),
}
MODES = {"eager": None, "compile": "default", "reduce-overhead": "reduce-overhead"}


def speed(setting: Setting, words: tuple[str, ...], batch: int, mode: str | None, precision: str) -> float:
    """Training images a second: forward, backward, step on images that are there."""
    config = frozen(*words)
    inputs, labels = (each.to(setting.device) for each in images_of(config, batch))
    model = build.network(config).to(setting.device).train()
    network = model if mode is None else cast(nn.Module, torch.compile(model, mode=mode))
    optimizer = build.optimizer(config)
    assert optimizer is not None
    updates = optimizer.updates(model, build.parametrization(config))

    def steps(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            with torch.autocast(setting.device.type, torch.bfloat16, enabled=precision == "bf16"):
                logits = network(inputs)
            updates.zero_grad()
            sample_losses(logits, labels).mean().backward()
            updates.step(1e-4)
        if setting.device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - began) / count

    one = min(steps(1), steps(1), steps(1))
    return batch / steps(1 if setting.tiny else max(3, min(50, round(2 / one))))


def speeds(setting: Setting) -> list[str]:
    """The table of speeds, in Markdown."""
    lines = [
        "| network | batch | precision | mode | images/s | GFLOP/s | % of peak |",
        "|---|---:|---|---|---:|---:|---:|",
    ]
    peaks = {precision: peak(setting.device, precision) for precision in ("fp32", "bf16")}
    chosen = {"rkhs": (NETWORKS["rkhs_node"], 2)} if setting.tiny else SPEEDS
    for name, (words, batch) in chosen.items():
        flops = flops_of_image(frozen(*words)) or 0.0
        for precision in ("fp32", "bf16"):
            for mode, how in list(MODES.items())[: 1 if setting.tiny else None]:
                begins = f"| {name} | {batch} | {precision} | {mode} |"
                if time.monotonic() > setting.until - 60 or (name == "resnet1202" and how is not None):
                    why = "compiling takes longer than all of this" if how is not None else "no time was left"
                    lines.append(f"{begins} {why} | | |")
                    continue
                try:
                    rate = speed(setting, words, batch, how, precision)
                except Exception as error:  # one that does not fit, or is not compiled, leaves the others
                    lines.append(f"{begins} {type(error).__name__} | | |")
                else:
                    done = rate * flops
                    lines.append(f"{begins} {rate:.0f} | {done / 1e9:.1f} | {100 * done / peaks[precision]:.1f} |")
                torch.compiler.reset()
                if setting.device.type == "cuda":
                    torch.cuda.empty_cache()
    said = ", ".join(f"{precision} {value / 1e12:.3g} TFLOP/s" for precision, value in peaks.items())
    return [*lines, "", f"Peak, by products of matrices: {said}."]
