"""The weights of a run: those of the attempt that ended it, or of the furthest checkpoint."""

from typing import TYPE_CHECKING, Literal

from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory
from taunode.runs.files import Missing, Unreadable, open_regular

if TYPE_CHECKING:
    from torch import Tensor


def load_weights(run: RunDirectory, which: Literal["best", "last"]) -> "dict[str, Tensor]":
    """The state dict of the best or the last epoch.

    Raises:
        BadInput: the run has none yet, or its files cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    from taunode.training.checkpoint import furthest

    try:
        attempt = run.read_done()["attempt"]
    except Missing:
        state = furthest(run.open_checkpoints())
        weights: dict[str, Tensor] = {} if state is None else state["best_weights" if which == "best" else "model"]
        if not weights:
            raise BadInput(f"{run.path} has no {which} weights yet: no epoch has been saved") from None
        return weights
    path = run.best(attempt) if which == "best" else run.model(attempt)
    try:
        with open_regular(path) as file:
            return dict(load(file.read()))
    except Missing:
        raise BadInput(f"{run.path} has no {which} weights: no epoch of it was trained to the end") from None
    except SafetensorError as error:
        raise Unreadable(path, f"is not a safetensors file ({error})") from None
