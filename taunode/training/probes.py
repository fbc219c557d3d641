"""What happens inside a network while it is trained, part by part: the table `probes.parquet`.

Every k steps, before the step and after it, copies of the network see the step's batch again, in training mode and not
compiled; the network that is trained, its buffers and the generators stay as they are, so that a run ends with the
same bits with probes or without.

    epoch, step        whole epochs, and steps, that lie behind; the first rows are of the network as it was drawn
    part, block        stem (number 0), block (1 to L; of an ODE net knot, knot k being number k + 1), head (the last);
                       of a network without blocks its direct children, as layer
    features           RMS of what the part gives: of a knot the state there, of the head the logits
    branch             RMS of what the branch adds to them, τ·F; of a knot v/N
    feature_gradient   Euclidean norm of the gradient of the batch's mean loss by the features
    feature_change     RMS of how the step changes the features, of the batch's first 16 images
    weights            Euclidean norm of the part's trained parameters before the step
    gradient           of their gradient, before it is clipped
    update             of what the step adds to them

Null where there is no such thing: a stem has no branch, a frozen part no update. With several processes RMS and norms
are those of the whole batch. A probe costs three passes, one of them backward, and the memory of two networks.
"""

import copy
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from taunode.models.network import Network
from taunode.models.parts import Kind, Note
from taunode.models.solver import StepUnderflow
from taunode.training.metrics import sample_losses
from taunode.training.team import Team

KINDS = get_args(Kind)
SEEN = ("features", "branch", "feature_gradient")
MEASURED = (*SEEN, "feature_change", "weights", "gradient", "update")
COLUMNS = ("epoch", "step", "part", "block", *MEASURED)
COMPARED = 16  # images
NULL = -1.0  # in the tensor of rows, whose measured values are at least 0, or NaN


@dataclass(frozen=True)
class Batch:
    """What a step is taken with: this process's share, the number of samples in all shares, and the precision."""

    inputs: Tensor
    labels: Tensor
    samples: float
    autocast: AbstractContextManager[Any]
    team: Team


class Probes:
    """The rows so far; one a part every `every` steps, at the first one too. None: no more."""

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        self.rows = torch.empty(0, len(COLUMNS), dtype=torch.float64)  # a part by its place in KINDS

    def around(self, model: Network, epoch: int, step: int, batch: Batch) -> AbstractContextManager[None]:
        """What to put around an optimizer's step, the gradients being there; `step` counts from the very first."""
        return nullcontext() if self.every is None or step % self.every else self._around(model, epoch, step, batch)

    @contextmanager
    def _around(self, model: Network, epoch: int, step: int, batch: Batch) -> Iterator[None]:
        before = copy.deepcopy(model)
        seen = _Pass(before, batch, backward=True)
        gradients = [_norm(p.grad for p in part.parameters) for part in model.parts()]
        yield
        changed = _Pass(copy.deepcopy(model), batch, backward=False).difference(seen)
        rows = []
        for place, (old, new) in enumerate(zip(before.parts(), model.parts(), strict=True)):
            steps = (q.detach() - p.detach() for p, q in zip(old.parameters, new.parameters, strict=True))
            parameters = [_norm(old.parameters), gradients[place], _norm(steps)]
            about = [float(epoch), float(step), float(KINDS.index(new.kind)), float(place)]
            rows.append([*about, *seen.sizes[place], changed[place], *parameters])
        self.rows = torch.cat([self.rows, torch.tensor(rows, dtype=torch.float64).reshape(-1, len(COLUMNS))])

    def table(self) -> dict[str, list[Any]]:
        """The columns, in which a float is null where there is no such thing."""
        columns: dict[str, list[Any]] = {}
        for name, values in zip(COLUMNS, self.rows.T.tolist(), strict=True):
            if name in MEASURED:
                columns[name] = [None if value == NULL else value for value in values]
            else:
                columns[name] = [KINDS[int(value)] if name == "part" else int(value) for value in values]
        return columns

    def to_parquet(self) -> bytes:
        import pyarrow as pa  # here: who trains without probes need not wait for it
        from pyarrow import parquet

        types = {"epoch": pa.int32(), "step": pa.int64(), "part": pa.string(), "block": pa.int32()}
        schema = pa.schema([(name, types.get(name, pa.float64())) for name in COLUMNS])
        file = io.BytesIO()
        parquet.write_table(pa.table(self.table(), schema=schema), file, compression="zstd")
        return file.getvalue()

    def state_dict(self) -> dict[str, Tensor]:
        return {"rows": self.rows}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.rows = state["rows"]


class _Pass:
    """A forward pass, and if asked a backward one, of a network that is nobody else's.

    Attributes:
        sizes: for each part those of SEEN, NULL where there are none.
        kept: the features of the first images, by the part's place.
    """

    def __init__(self, network: Network, batch: Batch, backward: bool) -> None:
        self.kept: dict[int, Tensor] = {}
        self._team = batch.team
        parts = network.train().parts()
        # For each part and quantity the sum of squares and how many there are; a norm is one.
        self._sums = torch.zeros(len(parts), len(SEEN), 2, dtype=torch.float64, device=batch.inputs.device)
        self._latest: dict[int, object] = {}  # by a part's place, what stands for the features it gave last
        devices = [batch.inputs.device] if batch.inputs.device.type == "cuda" else []
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices))
            stack.enter_context(torch.set_grad_enabled(backward))
            for place, part in enumerate(parts):
                for handle in part.watch(self._noting(place)):
                    stack.callback(handle.remove)
            with suppress(StepUnderflow):  # what there is of it until there
                with batch.autocast:
                    logits = network(batch.inputs)
                if backward:
                    (sample_losses(logits, batch.labels).sum() / batch.samples).backward()
        sums = self._team.sum(self._sums)
        sums[:, SEEN.index("feature_gradient"), 1].clamp_(max=1)  # a norm, of whatever number of shares
        self.sizes = _roots(sums)

    def _noting(self, place: int) -> Note:
        def note(kind: Literal["features", "branch"], value: Tensor) -> None:
            self._add(place, kind, value, value.numel())
            if kind == "features":
                self.kept[place] = value.detach()[:COMPARED].clone()
                token = self._latest[place] = object()
                if value.requires_grad:
                    value.register_hook(lambda gradient: self._gradient(place, token, gradient))

        return note

    def _gradient(self, place: int, token: object, gradient: Tensor) -> None:
        if self._latest[place] is token:
            self._add(place, "feature_gradient", gradient, 1)

    def _add(self, place: int, kind: str, value: Tensor, count: int) -> None:
        squares = torch.linalg.vector_norm(value.detach(), dtype=torch.float64).square()
        self._sums[place, SEEN.index(kind)] = torch.stack([squares, squares.new_full((), count)])

    def difference(self, other: "_Pass") -> list[float]:
        """RMS, for each part, of the difference of the kept features."""
        sums = torch.zeros(len(self.sizes), 2, dtype=torch.float64, device=self._sums.device)
        for place in self.kept.keys() & other.kept.keys():
            change = self.kept[place].double() - other.kept[place].double()
            sums[place] = torch.stack([change.square().sum(), change.new_full((), change.numel())])
        found: list[float] = _roots(self._team.sum(sums))
        return found


def _roots(sums: Tensor) -> Any:
    """√(squares / count) where the count is not 0, as lists: (…, 2) → (…)."""
    squares, counts = sums.unbind(-1)
    return torch.where(counts > 0, (squares / counts).sqrt(), NULL).tolist()


def _norm(tensors: Iterable[Tensor | None]) -> float:
    """The Euclidean norm of all of them together; NULL without any."""
    norms = [torch.linalg.vector_norm(t.detach(), dtype=torch.float64) for t in tensors if t is not None]
    return torch.linalg.vector_norm(torch.stack(norms)).item() if norms else NULL
