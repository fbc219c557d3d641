"""Importance: how much of the variance between cells each key explains.

Each key is a factor (a number with many values is cut into tenths of the cells). Two shares of the total sum of squares
of the cells' means are given: what the key explains alone, and what the additive model of all keys loses without it. In
a complete grid the two are equal and sum, with the rest, to one: it is the functional analysis of variance (F. Hutter,
H. Hoos, K. Leyton-Brown, ICML 2014) up to first order, exact instead of over a forest. What the additive model leaves
is the keys' interaction and the noise of the seeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

MANY = 20  # values of a number, from which on it is cut into tenths

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Importance:
    """Shares of the variance between cells, from 0 to 1.

    Attributes:
        alone, beside: of each key: what it explains by itself, and what is lost without it.
        rest: what all keys together, without their interactions, leave.
    """

    alone: dict[str, float]
    beside: dict[str, float]
    rest: float


def importance(values: Array, factors: Mapping[str, "pd.Series[Any]"]) -> Importance | None:
    """None where nothing varies, or there are fewer than three values."""
    total = float(((values - values.mean()) ** 2).sum()) if len(values) > 2 else 0.0
    if not total:
        return None
    columns = {key: _indicators(factor) for key, factor in factors.items()}
    everything = _left(values, list(columns.values()))
    alone = {key: 1 - _left(values, [column]) / total for key, column in columns.items()}
    beside = {
        key: (_left(values, [column for other, column in columns.items() if other != key]) - everything) / total
        for key in columns
    }
    alone, beside = ({key: _share(share) for key, share in found.items()} for found in (alone, beside))
    return Importance(alone, beside, _share(everything / total))


def _share(value: float) -> float:
    return min(max(float(value), 0.0), 1.0)


def _indicators(factor: "pd.Series[Any]") -> Array:
    """A column of 0 and 1 for each value but the first."""
    plain = factor.reset_index(drop=True)
    if pd.api.types.is_numeric_dtype(plain.dtype) and plain.nunique() > MANY:
        plain = pd.qcut(plain.astype("float64"), 10, duplicates="drop").cat.codes
    codes, uniques = pd.factorize(plain.astype("object").map(lambda value: repr(value)))
    return np.asarray(codes[:, None] == np.arange(1, len(uniques))[None, :], dtype=np.float64)


def _left(values: Array, columns: list[Array]) -> float:
    """The sum of squares that a linear model of these columns leaves."""
    model = np.concatenate([np.ones((len(values), 1)), *columns], axis=1)
    coefficients = np.linalg.lstsq(model, values, rcond=None)[0]
    return float(((values - model @ coefficients) ** 2).sum())
