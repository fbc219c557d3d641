"""The frozen ends of an ODE net: z(0) = A(x) before the flow, logits = B(z(1)) after it.

Barboni, Peyré, Vialard, "On global convergence of ResNets" (arXiv 2112.05531), section 5.1: two strided convolutions
and a linear map, trained together for a few passes, or not at all, and then never again.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Self

import torch
from torch import Tensor, nn

from taunode.absent import Absent
from taunode.errors import BadInput

SMALLEST_PAPER_IMAGE = 16  # under it two unpadded 4×4 convolutions of stride 2 leave hardly a pixel
SMALLEST_IMAGE = 4


class EmbeddingPair(nn.Module):
    """A (`input`) and B (`output`), frozen and in evaluation mode whatever `train` says.

    `input` maps images (batch, in_channels, image_size, image_size) to states (batch, channels, size, size), `output`
    states to logits (batch, classes); `size` is 5 for images of 28 pixels, 6 for 32, 4 for 8. Untrained, the batch
    normalisations are the identity up to their ε.

    The state dict has the names of the papers' own files: `input.0` and `input.3` convolutions, `input.1`, `input.4`
    and `output.0` batch normalisations, `output.2` the linear map.
    """

    def __init__(self, in_channels: int, channels: int, image_size: int, classes: int) -> None:
        super().__init__()
        if image_size < SMALLEST_IMAGE:
            raise BadInput(
                f"images of {image_size}×{image_size} pixels are too small for an embedding: "
                f"at least {SMALLEST_IMAGE}×{SMALLEST_IMAGE}"
            )
        if image_size >= SMALLEST_PAPER_IMAGE:
            first = nn.Conv2d(in_channels, channels, 4, stride=2)
            second = nn.Conv2d(channels, channels, 4, stride=2)
            self.size = (image_size - 6) // 4  # of (image_size − 2) // 2 the same again
        else:
            first = nn.Conv2d(in_channels, channels, 4, stride=2, padding=1)
            second = nn.Conv2d(channels, channels, 3, stride=1, padding=1)
            self.size = image_size // 2
        self.input = nn.Sequential(first, nn.BatchNorm2d(channels), nn.ReLU(), second, nn.BatchNorm2d(channels))
        self.output = nn.Sequential(nn.BatchNorm2d(channels), nn.Flatten(), nn.Linear(channels * self.size**2, classes))
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Evaluation mode, whatever the mode of the network it is part of."""
        return super().train(False)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the weights and statistics of a trained pair.

        Raises:
            BadInput: a tensor is missing, unknown, or of another shape (with both shapes).
        """
        own = self.state_dict()
        for name in sorted(own.keys() ^ tensors.keys()):
            raise BadInput(f"embedding: {name} is {'missing' if name in own else 'unknown'}")
        for name, tensor in tensors.items():
            given, needed = tuple(tensor.shape), tuple(own[name].shape)
            if given != needed:
                raise BadInput(f"embedding: {name} has the shape {given}, this network needs {needed}")
        # Moved first: torch warns of a copy to a network on meta, of which planning needs only the shapes.
        self.load_state_dict({name: tensor.to(own[name].device) for name, tensor in tensors.items()})

    @property
    def digest(self) -> str:
        """32 hex digits of its weights and statistics: runs with one digest have one pair."""
        found = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self.state_dict().items()):
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Which pair a network gets.

    Attributes:
        passes: epochs of SGD on B(A(x)) before the pair is frozen; at least 0.
        seed: of its first weights and of the order of these passes, apart from the run's own seed; 0 to 2^63 − 1.
            None: the run's own, so that every seed of a cell has another pair.
        weights: a safetensors file that holds the pair; then `passes` and `seed` only say how it was made.
        lr: the learning rate of these passes, above 0. The paper says 1, with which the loss is NaN within 40 steps;
            the pairs its authors released agree with 0.01 (see `taunode.training.pretraining`).
        fingerprint: a hash of that file, which stands for it in a run's signature; planning fills it in.

    Raises BadInput for values outside these ranges.
    """

    passes: int
    seed: int | None
    weights: str | None
    lr: Annotated[float, Absent(0.01)] = 0.01
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        if self.passes < 0:
            raise BadInput(f"embedding.passes must be at least 0, got {self.passes}")
        if not 0 < self.lr < math.inf:
            raise BadInput(f"embedding.lr must be a finite number > 0, got {self.lr}")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise BadInput(f"embedding.seed must be null or a whole number from 0 to 2^63 - 1, got {self.seed}")

    def untrained(self, in_channels: int, channels: int, image_size: int, classes: int) -> EmbeddingPair:
        """The pair before any pass, drawn from `seed` alone; leaves torch's generator as it was.

        Without one it is drawn from the seed that torch's generator was given last: the run's, when a network is built.
        """
        seed = torch.default_generator.initial_seed() if self.seed is None else self.seed
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return EmbeddingPair(in_channels, channels, image_size, classes)
