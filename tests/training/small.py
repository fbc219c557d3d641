"""A network small enough for float64, its data, and files in memory."""

import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pandas as pd
import torch
from torch import Tensor, nn

from taunode.models.network import Network
from taunode.training.loop import Conditions, fit
from taunode.training.optimizer import Optimizer, Sgd
from taunode.training.parametrization import Parametrization
from taunode.training.progress import reports
from taunode.training.schedule import Schedule, Steps


class Perceptron(Network):
    """Six numbers to three classes; its biases learn at a tenth of the rate."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.second(self.first(inputs).tanh())
        return logits

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": [self.first.weight, self.second.weight], "lr_factor": 1.0},
            {"params": [self.first.bias, self.second.bias], "lr_factor": 0.1},
        ]

    def learned_tau(self) -> float | None:
        return None


class Batches:
    """The same samples in the same order every epoch; the last batch may be smaller."""

    def __init__(self, inputs: Tensor, labels: Tensor, size: int) -> None:
        self.inputs, self.labels, self.size, self.position = inputs, labels, size, 0

    def __len__(self) -> int:
        return -(-len(self.inputs) // self.size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while self.position < len(self.inputs):
            chosen = slice(self.position, self.position + self.size)
            self.position += self.size
            yield self.inputs[chosen], self.labels[chosen]
        self.position = 0

    def state_dict(self) -> dict[str, Any]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.position = state["position"]


def samples(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 6, dtype=torch.float64, generator=generator)
    labels = torch.randint(3, (count,), generator=generator)
    return inputs, labels


class Memory:
    """What a training writes, kept here; `on_tables` is called whenever an epoch has been written."""

    def __init__(self, on_tables: Callable[[], None] = lambda: None) -> None:
        self.checkpoints: list[bytes] = []
        self.metrics: list[dict[str, Any]] = []
        self.timings: list[dict[str, Any]] = []
        self.kept: dict[str, dict[str, Tensor]] = {}
        self.probed = pd.DataFrame()
        self._on_tables = on_tables

    def checkpoint(self, write: Callable[[BinaryIO], object]) -> None:
        buffer = io.BytesIO()
        write(buffer)
        self.checkpoints.append(buffer.getvalue())

    def tables(self, metrics: list[dict[str, Any]], timings: list[dict[str, Any]]) -> None:
        self.metrics, self.timings = list(metrics), list(timings)
        self._on_tables()

    def weights(self, name: str, tensors: dict[str, Tensor], epoch: int) -> None:
        self.kept[name] = tensors

    def probes(self, table: bytes) -> None:
        self.probed = pd.read_parquet(io.BytesIO(table))

    def newest(self) -> dict[str, Any]:
        state: dict[str, Any] = torch.load(io.BytesIO(self.checkpoints[-1]), weights_only=True)
        return state


def steps(**changes: Any) -> Steps:
    settings: dict[str, Any] = {
        "epochs": 4,
        "batch_size": 8,
        "lr": 0.2,
        "milestones": [2],
        "factor": 0.1,
        "warmup_epochs": min(1.5, changes.get("epochs", 4)),
    }
    return Steps(**(settings | changes))


def sgd(**changes: Any) -> Sgd:
    settings: dict[str, Any] = {
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 1e-3,
        "decay": "all",
        "clip_norm": None,
    }
    return Sgd(**(settings | changes))


def stop_after(count: int) -> Callable[[], bool]:
    """True from the `count`-th time it is asked."""
    asked = iter(range(1, 10**9))
    return lambda: next(asked) >= count


def train(
    model: Network,
    loader: Any,
    tests: dict[str, Any],
    schedule: Schedule,
    files: Memory,
    *,
    optimizer: Optimizer | None = None,
    rule: Parametrization | None = None,
    stop: Callable[[], bool] = lambda: False,
    checkpoint_seconds: float = 1e9,
    precision: Any = "fp32",
    checkpoint: dict[str, Any] | None = None,
    compile: bool = False,
    probes: int | None = None,
) -> dict[str, Any]:
    cpu = torch.device("cpu")
    conditions = Conditions(cpu, stop, checkpoint_seconds, compile=compile, channels_last=False, probes=probes)
    report = reports(io.StringIO(), None, schedule.epochs, "a run")
    return fit(
        model, loader, tests, schedule, optimizer or sgd(), precision, conditions, files, report, checkpoint, rule=rule
    )
