"""What every network offers to the one who trains it."""

from abc import ABC, abstractmethod
from typing import Any

from torch import nn


class Network(nn.Module, ABC):
    """A trainable map from images (batch, channels, height, width) to logits (batch, classes)."""

    @abstractmethod
    def parameter_groups(self) -> list[dict[str, Any]]:
        """Every trainable parameter exactly once: mappings of `params` and `lr_factor`, which multiplies the rate."""

    @abstractmethod
    def learned_tau(self) -> float | None:
        """The present τ where it is trained (the mean over blocks and channels); None where it is fixed."""

    def extra_metrics(self) -> dict[str, float]:
        """More columns of metrics.csv: means over the training passes since this was last asked."""
        return {}

    def facts(self) -> dict[str, Any]:
        """What tables say of a network before it is trained: `parameters` and `trainable_parameters`, and more."""
        sizes = [(parameter.numel(), parameter.requires_grad) for parameter in self.parameters()]
        return {
            "parameters": sum(size for size, _ in sizes),
            "trainable_parameters": sum(size for size, trained in sizes if trained),
        }
