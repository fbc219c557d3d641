"""What every network offers to the one who trains it."""

from collections import defaultdict
from statistics import fmean
from typing import Any

from torch import nn

from taunode.errors import BadInput
from taunode.models.parts import Chain, Part
from taunode.models.scale import LearnedScale

DEEPEST = 100_000  # layers; what asks for more is a typing error


def check_layers(layers: int, key: str = "layers") -> None:
    """
    Raises:
        BadInput: a network cannot have so many.
    """
    if layers < 1:
        raise BadInput(f"arch.{key} must be at least 1, got {layers}")
    if layers > DEEPEST:
        raise BadInput(f"arch.{key} must be at most {DEEPEST:,}, got {layers:,}")


class Network(nn.Module):
    """A trainable map from images (batch, channels, height, width) to logits (batch, classes).

    One of your own has a constructor and `forward`. The constructor's arguments are the keys of its `conf/arch` file;
    those of the groups `tau`, `init`, `solver` and `embedding` that it names, as objects; and `in_channels`,
    `image_size` and `classes` of the data set. A parametrization, `muon` and `decay: weights` know the first linear map
    by the attribute's name `stem`, and the last by `head`.
    """

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Every trainable parameter exactly once, as `params`, by the `lr_factor` on the learning rate.

        The factor is the attribute `lr_factor` of the module that owns the parameter, 1 where it has none: 0.1 for
        scalar biases, `tau.lr_factor` for a learned τ.
        """
        groups: dict[float, list[nn.Parameter]] = defaultdict(list)
        known: set[nn.Parameter] = set()
        for module in self.modules():
            own = [p for p in module.parameters(recurse=False) if p.requires_grad and p not in known]
            known.update(own)
            groups[getattr(module, "lr_factor", 1.0)].extend(own)
        return [{"params": params, "lr_factor": factor} for factor, params in groups.items() if params]

    def learned_tau(self) -> float | None:
        """The present shared τ, or the mean over blocks and channels of learned ones; None if none is learned."""
        learned = [scale.tau.mean().item() for scale in self.modules() if isinstance(scale, LearnedScale)]
        return fmean(learned) if learned else None

    def chain(self) -> Chain | None:
        """Stem, residual blocks and head, for `schedule=initialisation` and `runtime.probes`; None: it has none."""
        return None

    def size(self) -> tuple[int, float]:
        """L, the number of residual blocks (1 without any), and the width in units of the architecture's own: what a
        parametrization scales by."""
        chain = self.chain()
        return (1 if chain is None else len(chain.blocks)), 1.0

    def parts(self) -> list[Part]:
        """What probes look at, in order: the chain's stem, blocks and head, or the network's direct children."""
        chain = self.chain()
        return [Part.of_module("layer", child) for child in self.children()] if chain is None else chain.parts()

    def extra_metrics(self) -> dict[str, float]:
        """More columns of metrics.csv: means over the training passes since this was last asked."""
        return {}

    def metrics_state(self) -> Any:
        """What `extra_metrics` needs to go on as if nothing had happened, kept in checkpoints; plain values."""
        return None

    def load_metrics_state(self, state: Any) -> None:
        """Take up what `metrics_state` gave."""

    def facts(self) -> dict[str, Any]:
        """What tables say of a network before it is trained: `blocks`, `parameters`, `trainable_parameters`, more."""
        sizes = [(parameter.numel(), parameter.requires_grad) for parameter in self.parameters()]
        chain = self.chain()
        return ({} if chain is None else {"blocks": len(chain.blocks)}) | {
            "parameters": sum(size for size, _ in sizes),
            "trainable_parameters": sum(size for size, trained in sizes if trained),
        }
