"""The weights of a run: those of the attempt that ended it, or of the furthest checkpoint."""

import json
from typing import TYPE_CHECKING, Literal

from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory

if TYPE_CHECKING:
    from torch import Tensor


def load_weights(run: RunDirectory, which: Literal["best", "last"]) -> "dict[str, Tensor]":
    """The state dict of the best or the last epoch.

    Raises:
        BadInput: the run has none yet.
    """
    from safetensors.torch import load_file

    from taunode.training.checkpoint import furthest

    if run.done.exists():
        attempt = json.loads(run.done.read_bytes())["attempt"]
        path = run.best(attempt) if which == "best" else run.model(attempt)
        if path.exists():
            return dict(load_file(path))
        raise BadInput(f"{run.path} has no {which} weights: no epoch of it was trained to the end")
    state = furthest([run.checkpoint(attempt) for attempt in run.checkpoints()])
    weights: dict[str, Tensor] = {} if state is None else state["best_weights" if which == "best" else "model"]
    if not weights:
        raise BadInput(f"{run.path} has no {which} weights yet: no epoch has been saved")
    return weights
