"""What is checked on a GPU, and where: the device, how much, and a small network of every kind with images for it."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from taunode.api import compose
from taunode.plan.freeze import Freezer

SYNTHETIC = ("dataset=synthetic",)
NETWORKS = {  # of every kind one, as small as it gets
    "resnet20": ("arch=resnet20",),
    "resnet20_nobn": ("arch=resnet20_nobn", "tau=inverse_sqrt"),
    "resnet50": ("arch=resnet50", "dataset.image_size=64"),
    "momentum_resnet": ("arch=momentum_resnet", "arch.depth=20"),
    "rkhs_node": ("arch=rkhs_node", "arch.layers=5"),
    "shl_node": ("arch=shl_node", "arch.layers=5"),
    "rkhs_resnet18": ("arch=rkhs_resnet18", "dataset.image_size=32"),
    "shl_resnet18": ("arch=shl_resnet18", "dataset.image_size=32"),
}


@dataclass
class Setting:
    """Where and how much is checked.

    Attributes:
        tiny: as little as shows that the checks themselves work.
        until: by time.monotonic(), when no new measurement begins.
    """

    device: torch.device
    folder: Path
    tiny: bool = False
    until: float = field(default_factory=lambda: time.monotonic() + 540)

    @property
    def epochs(self) -> int:
        return 30 if self.tiny else 20


def frozen(*words: str) -> dict[str, Any]:
    return Freezer(Path.cwd()).freeze(compose([*SYNTHETIC, "runtime.device=cpu", *words]))[0]


def images_of(config: dict[str, Any], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    data = config["dataset"]
    generator = torch.Generator().manual_seed(0)
    shape = (count, data["channels"], data["image_size"], data["image_size"])
    return torch.randn(shape, generator=generator), torch.randint(data["classes"], (count,), generator=generator)
