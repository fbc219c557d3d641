"""What this machine has: its GPUs, and whether it can do what is asked."""

import os

from taunode.errors import BadInput
from taunode.runs.runtime import Runtime


def check_machine(runtime: Runtime, workers: int | None = None) -> None:
    """Refuse what this machine cannot do, before anything is written.

    Raises:
        BadInput: `workers` is below 1, or the device is not there.
    """
    if workers is not None and workers < 1:
        raise BadInput(f"hydra.launcher.workers must be at least 1, or null, got {workers}")
    if runtime.device not in ("auto", "cpu"):
        from taunode.work.attempt import choose_device

        choose_device(runtime.device)


def visible_gpus(runtime: Runtime) -> list[str]:
    """The GPUs a sweep may use, as CUDA_VISIBLE_DEVICES names them; nothing is initialised on them."""
    if runtime.device == "cpu":
        return []
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = named.split(",")[:count] if named else [str(index) for index in range(count)]
    _, colon, index = runtime.device.partition(":")
    return [gpus[int(index)]] if colon else gpus
