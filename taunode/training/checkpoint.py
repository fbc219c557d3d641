"""The state of a training: all that must be kept for it to go on, bit by bit, as if nothing had happened.

Model with its buffers, optimizer, every generator, the position in the epoch with its permutation, the sums of
the epoch so far, the results of the epochs before, and the best weights. One file is enough to go on from.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, ClassVar, Protocol

import torch
from torch import Tensor, nn

from taunode.training.metrics import Means
from taunode.training.optimizer import Updates


class Loader(Protocol):
    """Batches of an epoch that can be left after any of them, and taken up again."""

    def __iter__(self) -> Any: ...
    def __len__(self) -> int: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Files(Protocol):
    """Where a training leaves its results. Each call may raise: the run may have been given to somebody else."""

    def checkpoint(self, write: Callable[[BinaryIO], object]) -> None: ...
    def tables(self, metrics: list[dict[str, Any]], timings: list[dict[str, Any]]) -> None: ...
    def weights(self, name: str, tensors: dict[str, Tensor], epoch: int) -> None: ...


@dataclass
class Training:
    """A training that can be saved and restored.

    Attributes:
        epoch: whole epochs behind.
        step: steps done in the present epoch.
        seconds, epoch_seconds: of all attempts together, in all and in the present epoch.
        metrics, timings: one row an epoch.
        best, best_weights: the row of the best epoch, and its weights on the CPU.
    """

    model: nn.Module
    optimizer: Updates
    loader: Loader
    means: Means
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    metrics: list[dict[str, Any]] = field(default_factory=list)
    timings: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    plain: ClassVar = ("epoch", "step", "seconds", "epoch_seconds", "metrics", "timings", "best", "best_weights")
    parts: ClassVar = ("model", "optimizer", "loader", "means")

    def weights(self) -> dict[str, Tensor]:
        """A copy of the network's present state on the CPU."""
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.model.state_dict().items()}

    def end_epoch(self, row: dict[str, Any], better: bool) -> None:
        self.metrics.append(row)
        self.epoch, self.step = self.epoch + 1, 0
        self.means.clear()
        if better:
            self.best, self.best_weights = row, self.weights()

    def save(self, file: BinaryIO) -> None:
        state: dict[str, Any] = {name: getattr(self, name) for name in self.plain}
        for name in self.parts:
            state[name] = getattr(self, name).state_dict()
        state["generator"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            state["cuda_generator"] = torch.cuda.get_rng_state()
        torch.save(state, file)

    def restore(self, state: dict[str, Any]) -> None:
        for name in self.plain:
            setattr(self, name, state[name])
        for name in self.parts:
            getattr(self, name).load_state_dict(state[name])
        torch.set_rng_state(state["generator"])
        if torch.cuda.is_initialized() and "cuda_generator" in state:
            torch.cuda.set_rng_state(state["cuda_generator"])


def furthest(files: Iterable[BinaryIO]) -> dict[str, Any] | None:
    """The state in the checkpoint that is furthest in the training; None where there is none.

    On the CPU, where generators want their states; what restores the rest puts it on its device. Only tensors and
    plain values are read (`weights_only`): a run directory is data, not code.
    """
    states = []
    for file in files:
        with file:
            states.append(torch.load(file, map_location="cpu", weights_only=True))
    return max(states, key=lambda state: (state["epoch"], state["step"]), default=None)
