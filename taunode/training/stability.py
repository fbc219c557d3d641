"""Forward stability: what depth and τ do to features and gradients before any training.

Zhang, Yu, Yi, Chen, Liu, "Convergence Theory of Learning Over-parameterized ResNet: A Full Characterization"
(arXiv 1903.07120): with τ = 1/√L the size of features and gradients is bounded whatever L, with τ = L^−β and β < 1/2
both grow without bound, and 1/2 is sharp. Without normalisation it shows in the features too, with it in the gradient.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from taunode.models.network import Network
from taunode.training.checkpoint import Files
from taunode.training.loop import Precision
from taunode.training.schedule import Initialisation
from taunode.training.stopwatch import peak_memory


@dataclass(frozen=True)
class Stability:
    """Of one network and one batch.

    Attributes:
        growth: RMS of the last block's output over RMS of the stem's.
        stem_gradient: Euclidean norm of the gradient at the stem's convolution, for a random linear read-out N(0, 1)
            of the logits, summed over the batch.
    """

    growth: float
    stem_gradient: float

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.growth) and math.isfinite(self.stem_gradient)


def measure(network: Network, images: Tensor, readout: Tensor) -> Stability:
    """Growth and gradient of a network as it is.

    Args:
        network: one with residual blocks (`Network.chain`).
        images: (batch, channels, height, width), of the network's precision.
        readout: (batch, classes), what the logits are multiplied by.
    """
    sizes: dict[nn.Module, float] = {}

    def note(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        features = output if isinstance(output, Tensor) else output[0]
        sizes[module] = features.detach().double().square().mean().sqrt().item()

    chain = network.chain()
    assert chain is not None  # planning has seen to it
    stem, last = chain.stem, chain.blocks[-1]
    hooks = [module.register_forward_hook(note) for module in (stem, last)]
    try:
        read = (network(images) * readout).sum()
        (gradient,) = torch.autograd.grad(read, [next(stem.parameters())])
    finally:
        for hook in hooks:
            hook.remove()
    return Stability(sizes[last] / sizes[stem], gradient.double().norm().item())


def measure_run(
    network: Network,
    schedule: Initialisation,
    data: Mapping[str, Any],
    seed: int,
    precision: Precision,
    device: torch.device,
    files: Files,
) -> dict[str, Any]:
    """A run of `schedule=initialisation`: images N(0, 1) instead of a data set's, one row of metrics, no weights.

    Args:
        data: the data set's shape: `channels`, `image_size`, `classes`.
        seed: of images and read-out.

    Returns:
        The summary: `final_growth`, `final_stem_gradient`; with `diverged_epoch` 0 where `precision` cannot hold them.
    """
    began = time.monotonic()
    dtype = torch.float64 if precision == "fp64" else torch.float32
    generator = torch.Generator().manual_seed(seed)
    shape = (schedule.batch_size, data["channels"], data["image_size"], data["image_size"])
    images = torch.randn(shape, dtype=torch.float64, generator=generator)
    readout = torch.randn(schedule.batch_size, data["classes"], dtype=torch.float64, generator=generator)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        found = measure(network.to(dtype), images.to(device, dtype), readout.to(device, dtype))
    seconds = time.monotonic() - began
    timing = {
        "epoch": 0,
        "seconds": round(seconds, 4),
        "images_per_second": round(schedule.batch_size / seconds, 1),
        "peak_memory_mb": round(peak_memory() / 10**6, 1),
    }
    files.tables([{"epoch": 0, **asdict(found)}], [timing])
    summary = {"epochs": 0, "steps": 0, "seconds": round(seconds, 3)}
    summary |= {f"final_{name}": value for name, value in asdict(found).items()}
    return summary if found.is_finite else summary | {"diverged_epoch": 0, "diverged_step": 0}
