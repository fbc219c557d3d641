"""Packed: the epochs of many runs as columns of 32-bit numbers, small enough to travel inside a page."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.labels.values import title

FIRST = ("test_error", "train_error", "test_loss", "train_loss")
NUMBERS = 2_000_000  # in one page, 10.7 MB of base64; a metric at least is always there


def packed(epochs: pd.DataFrame, runs: Sequence[str]) -> dict[str, Any]:
    """What the page's script draws from: `columns` of the epochs, its values as base64."""
    found = columns(epochs, runs)
    return found | {
        "columns": {name: base64.b64encode(values.tobytes()).decode() for name, values in found["columns"].items()}
    }


def columns(epochs: pd.DataFrame, runs: Sequence[str]) -> dict[str, Any]:
    """The epochs, a column a metric.

    Args:
        epochs: `Sweep.epochs`.
        runs: the runs' names, in the page's order.

    Returns:
        `lengths`: how many epochs each run has; `metrics`: (name, title) of each, those of `FIRST` first;
        `columns`: by name, `epoch` too, the values of all runs one after the other as little-endian float32;
        `left_out`: the names of those for which there was no room. A metric that never changes is no curve.
    """
    place = epochs["run"].cat.set_categories(list(runs)).cat.codes.to_numpy(np.int64)
    order = np.argsort(place, kind="stable")[(place < 0).sum() :]
    metrics = [name for name in map(str, epochs) if name not in ("run", "epoch") and epochs[name].nunique() > 1]
    metrics.sort(key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    lengths = np.bincount(place[order], minlength=len(runs))
    if lengths.max(initial=0) < 2:
        metrics = []  # points are for the table
    room = max(1, NUMBERS // max(1, len(order)) - 1)
    return {
        "lengths": lengths.tolist(),
        "metrics": [(name, title(name)) for name in metrics[:room]],
        "columns": {name: single(epochs[name].to_numpy()[order]) for name in ("epoch", *metrics[:room])},
        "left_out": metrics[room:],
    }


def single(values: Any) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Numbers as the page has them: little-endian float32."""
    with np.errstate(over="ignore"):  # beyond 3e38 a curve has left every axis
        return np.asarray(values).astype("<f4")
