"""Exact sample means of loss and error, and the tables they are written to."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from taunode.training.team import Team


class Means:
    """Means over samples, not over batches: a partial batch counts for what it holds.

    Sums are kept in float64 on the device, so that nothing waits for it before the means are read.

    Args:
        top5: also count where the label is not among the five classes with the highest logits.
    """

    def __init__(self, device: torch.device, top5: bool = False) -> None:
        self._sums = torch.zeros(4 if top5 else 3, dtype=torch.float64, device=device)
        self._top5 = top5

    def sums(self, losses: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """A batch's (samples, loss, wrong answers[, of five answers none right]), float64.

        losses (batch,), logits (batch, classes), labels (batch,); the batch may be empty.
        """
        broken = ~losses.isfinite()  # the argmax of NaN is no answer
        found = [losses.new_full((), len(losses), dtype=torch.float64), losses.double().sum()]
        found.append(((logits.argmax(dim=1) != labels) | broken).sum())
        if self._top5:
            best = logits.topk(min(5, logits.shape[1]), dim=1).indices  # (batch, 5)
            found.append(((best != labels[:, None]).all(dim=1) | broken).sum())
        return torch.stack([value.to(torch.float64) for value in found])

    def add(self, sums: Tensor) -> None:
        self._sums += sums

    def add_up(self, team: Team) -> None:
        """Make sums over this process's shares those over all shares."""
        team.sum(self._sums)

    def read(self) -> dict[str, float]:
        """Mean `loss`; `error` and, where it was asked for, `top5_error`, in percent."""
        samples, loss, *wrong = self._sums.tolist()
        return {"loss": loss / samples} | {
            name: 100 * count / samples for name, count in zip(("error", "top5_error"), wrong, strict=False)
        }

    def clear(self) -> None:
        self._sums.zero_()

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self._sums}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._sums.copy_(state["sums"])


def sample_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of every sample, (batch,), in float32 or better whatever autocast made of the logits."""
    wide = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    return nn.functional.cross_entropy(wide, labels, reduction="none")


@torch.no_grad()
def evaluate(
    model: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    means: Means,
    dtype: torch.dtype,
    team: Team,
) -> dict[str, float]:
    """The means of a network over all batches, of which each process of the team has its share; inputs as `dtype`."""
    for inputs, labels in batches:
        logits = model(inputs.to(dtype))
        means.add(means.sums(sample_losses(logits, labels), logits, labels))
    means.add_up(team)
    return means.read()


def to_csv(rows: list[dict[str, Any]]) -> str:
    """A table with one header line; floats as the shortest text that reads back as the same number."""
    text = io.StringIO()
    if rows:
        names = list(dict.fromkeys(name for row in rows for name in row))  # an older release wrote fewer
        writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
