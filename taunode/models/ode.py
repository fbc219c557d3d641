"""ODE nets: z(0) = A(x), dz/dt = v(t, z) for t in [0, 1], logits = B(z(1)), of which only v is trained.

Barboni, Peyré, Vialard, "On global convergence of ResNets: From finite to infinite width using linear
parameterization" (arXiv 2112.05531), section 5.1. v has weights at the knots k/N, N = `layers`. Every W is zero at
start, so the flow starts as the identity. Euler with N steps is a ResNet of N blocks with τ = 1/N.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from taunode.models.embedding import Embedding
from taunode.models.interpolation import Exact, Interpolation, Original
from taunode.models.network import Network
from taunode.models.parts import Note, Part
from taunode.models.solver import Solver
from taunode.models.vector_field import RkhsField, ShlField, VectorField

InterpolationName = Literal["exact", "original"]


class OdeNet(Network, ABC):
    """Maps images (batch, in_channels, image_size, image_size) to logits (batch, classes) along a vector field.

    `solver` steps on the grid k/layers; with fixed steps the flow compiles whole. The embedding is untrained until
    `load_embedding`.
    """

    def __init__(
        self,
        layers: int,
        channels: int,
        hidden_channels: int,
        interpolation: InterpolationName,
        zero_init: bool,
        solver: Solver,
        embedding: Embedding,
        in_channels: int,
        image_size: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.layers = layers
        self.solver = solver
        self.field = self.make_field(_interpolation(interpolation, layers), channels, hidden_channels, zero_init)
        self.embedding = embedding.untrained(in_channels, channels, image_size, classes)
        self._evaluations = _Evaluations()

    @abstractmethod
    def make_field(
        self, interpolation: Interpolation, channels: int, hidden_channels: int, zero_init: bool
    ) -> VectorField:
        """v, untrained."""

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.embedding.output(self._flow(self.embedding.input(images)))
        return logits

    def _flow(self, z: Tensor) -> Tensor:
        """From z(0) to z(1), (batch, channels, size, size)."""
        # Sums of small steps, and time, which torchdiffeq keeps in the state's precision, are not for bfloat16.
        z = z.to(torch.promote_types(z.dtype, torch.float32))
        if self.solver.evaluations(self.layers) is not None:
            return self.solver.solve(self.field, z, self.layers)
        end: Tensor = self._counted_flow(z)
        return end

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch gives it no types
    def _counted_flow(self, z: Tensor) -> Tensor:
        counted = _Counted(self.field, self._evaluations if self.training else _Evaluations())
        z = self.solver.solve(counted, z, self.layers)
        counted.backward_pass = True
        return z

    def load_embedding(self, tensors: Mapping[str, Tensor]) -> None:
        """Take a trained embedding; raises BadInput where it does not fit (`EmbeddingPair.load`)."""
        self.embedding.load(tensors)

    def parts(self) -> list[Part]:
        """The embedding's two, and between them the knots with their weights, seen where the solver meets them."""
        lists = (each.parameters() for each in self.field.children())  # each with a weight a knot
        knots = [Part("knot", list(own), partial(self._watch, k)) for k, own in enumerate(zip(*lists, strict=True))]
        return [Part.of_module("stem", self.embedding.input), *knots, Part.of_module("head", self.embedding.output)]

    def _watch(self, knot: int, note: Note) -> list[RemovableHandle]:
        def seen(_: nn.Module, inputs: tuple[float | Tensor, Tensor], velocity: Tensor) -> None:
            t, z = inputs
            if self.field.interpolation.at(t) == ((knot, 1.0),):
                note("features", z)
                note("branch", velocity.detach() / self.layers)

        return [self.field.register_forward_hook(seen)]

    def facts(self) -> dict[str, Any]:
        """Also `layers`; `parameters` has those of the embedding."""
        return {"layers": self.layers} | super().facts()

    def extra_metrics(self) -> dict[str, float]:
        """Evaluations of the vector field a pass, the mean over the training passes since this was last asked.

        `nfe_forward`, and `nfe_backward`: 0 for backpropagation, which goes back through the steps taken.
        """
        if (known := self.solver.evaluations(self.layers)) is not None:
            return {"nfe_forward": float(known), "nfe_backward": 0.0}
        return self._evaluations.read()

    def metrics_state(self) -> list[int]:
        """The counts behind `extra_metrics`."""
        return list(self._evaluations.counts)

    def load_metrics_state(self, state: list[int]) -> None:
        self._evaluations.counts = list(state)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        counts = state_dict.pop(f"{prefix}_extra_state", None)  # older releases kept them among the weights
        if counts is not None:
            self._evaluations.counts = counts.tolist()
        super()._load_from_state_dict(state_dict, prefix, *others)


class RkhsNode(OdeNet):
    """v = W(t)∗ReLU(Ω∗z), W piecewise linear between its knots: (layers+1)·9·channels·hidden_channels parameters.

    layers           N >= 1: knots, and steps of a fixed solver
    channels         of the state z
    hidden_channels  of ReLU(Ω∗z)
    interpolation    "exact", or "original" as in the paper's code (`interpolation.Original`)
    zero_init        whether W is zero at start

    Weights are drawn from torch's global generator, the embedding's from its own seed. Raises BadInput for numbers
    under 1 and for images under 4×4 pixels.
    """

    def make_field(
        self, interpolation: Interpolation, channels: int, hidden_channels: int, zero_init: bool
    ) -> VectorField:
        return RkhsField(interpolation, channels, hidden_channels, zero_init)


class ShlNode(OdeNet):
    """v = (1−s)·W_k∗ReLU(Ω_k∗z) + s·W_{k+1}∗ReLU(Ω_{k+1}∗z): arguments of `RkhsNode`, twice its parameters.

    The paper's own code of this net is exact in time, so that "exact" is right for its published curves too.
    """

    def make_field(
        self, interpolation: Interpolation, channels: int, hidden_channels: int, zero_init: bool
    ) -> VectorField:
        return ShlField(interpolation, channels, hidden_channels, zero_init)


def _interpolation(name: InterpolationName, layers: int) -> Interpolation:
    return Exact(layers) if name == "exact" else Original(layers)


class _Evaluations:
    """Counts of training passes, and of the evaluations in their forward and backward halves."""

    def __init__(self) -> None:
        self.counts = [0, 0, 0]

    def read(self) -> dict[str, float]:
        passes, forward, backward = self.counts
        self.counts = [0, 0, 0]
        return {"nfe_forward": forward / max(passes, 1), "nfe_backward": backward / max(passes, 1)}


class _Counted(nn.Module):
    """A field that counts its evaluations; made for one pass."""

    def __init__(self, field: VectorField, evaluations: _Evaluations) -> None:
        super().__init__()
        self.field = field
        self.backward_pass = False
        self._evaluations = evaluations
        evaluations.counts[0] += 1

    def forward(self, t: float | Tensor, z: Tensor) -> Tensor:
        self._evaluations.counts[2 if self.backward_pass else 1] += 1
        v: Tensor = self.field(t, z)
        return v
