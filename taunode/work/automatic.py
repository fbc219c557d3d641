"""What `auto` is: on a CPU, CIFAR's τ-ResNets on images of 16 pixels or more are channels last; nothing is compiled.

That is what was measured (benchmarks/README.md, "Memory format and compiling"); on a GPU nothing has been yet.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from taunode.runs.runtime import Runtime

# By their names: what a worker need not import, it does not.
NETWORKS = ("taunode.models.resnet.CifarResNet", "taunode.models.momentum.MomentumResNet")
SMALLEST_IMAGE = 16  # the 8×8 digits gain less, and the numbers published of them stay as they are


def decided(asked: Runtime, config: Mapping[str, Any]) -> Runtime:
    """The settings with nothing left open for a run on this machine; the first attempt's hold for those after it."""
    match config:
        case {"arch": {"_target_": target}, "dataset": {"image_size": int(size)}, "precision": precision}:
            is_small = size < SMALLEST_IMAGE or precision == "fp64"  # that of comparisons, not of speed
            is_faster = target in NETWORKS and not is_small and not _is_on_gpu(asked.device)
        case _:  # somebody has changed the file: building the network tells
            is_faster = False
    return replace(
        asked,
        compile=False if asked.compile == "auto" else asked.compile,
        channels_last=is_faster if asked.channels_last == "auto" else asked.channels_last,
    )


def _is_on_gpu(name: str) -> bool:
    import torch

    # Counted, because torch.cuda.is_available() could keep this process's children from using CUDA.
    return name.startswith("cuda") or (name == "auto" and torch.cuda.device_count() > 0)
