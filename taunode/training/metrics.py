"""Exact sample means of loss and error, and the tables they are written to."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Means:
    """Means over samples, not over batches: a partial batch counts for what it holds.

    Sums are kept in float64 on the device, so that nothing waits for it before the means are read.
    """

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)  # (loss, wrong answers)
        self.samples = 0

    def add(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: losses (batch,), logits (batch, classes), labels (batch,)."""
        wrong = (logits.argmax(dim=1) != labels) | ~losses.isfinite()  # the argmax of NaN is no answer
        self._sums += torch.stack([losses.double().sum(), wrong.sum()])
        self.samples += len(labels)

    def read(self) -> tuple[float, float]:
        """Mean loss, and error in percent."""
        loss, wrong = self._sums.tolist()
        return loss / self.samples, 100 * wrong / self.samples

    def clear(self) -> None:
        self._sums.zero_()
        self.samples = 0

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self._sums, "samples": self.samples}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._sums.copy_(state["sums"])
        self.samples = state["samples"]


def sample_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of every sample, (batch,), in float32 or better whatever autocast made of the logits."""
    wide = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    return nn.functional.cross_entropy(wide, labels, reduction="none")


@torch.no_grad()
def evaluate(
    model: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    autocast: torch.autocast,
    device: torch.device,
) -> tuple[float, float]:
    """Mean loss and error (percent) of a network over all batches."""
    means = Means(device)
    for inputs, labels in batches:
        with autocast:
            logits = model(inputs)
        means.add(sample_losses(logits, labels), logits, labels)
    return means.read()


def to_csv(rows: list[dict[str, Any]]) -> str:
    """A table with one header line; floats as the shortest text that reads back as the same number."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
