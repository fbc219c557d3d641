"""Facets: the few keys by which a sweep's runs are told apart, and the values that a reader can switch off."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.cell.cells import keys_of, number_of
from multirun_analysis.cell.naming import telling_keys
from multirun_analysis.figures.panels import arrange
from multirun_analysis.labels.values import NONE, is_missing, short, text
from taunode.runs.state import State

CHOICES = 24  # more values than this are for the search field
STATE = "state"


@dataclass(frozen=True)
class Facet:
    """A key with its values.

    Attributes:
        name: the key's last part, or the whole key where two end alike.
        values: as text, in the order of the numbers, of the labels of τ, or of the alphabet.
        codes: of each run, the place of its value in `values`.
    """

    key: str
    name: str
    values: tuple[str, ...]
    codes: "np.ndarray[Any, np.dtype[np.int64]]"

    @property
    def choosable(self) -> bool:
        return 2 <= len(self.values) <= CHOICES


def facets(runs: pd.DataFrame) -> list[Facet]:
    """The fewest keys that tell the runs apart, `seed` last; what is noted of them; and the state."""
    keys = [*(["sweep"] if runs["sweep"].nunique() > 1 else []), *keys_of(runs), *(["seed"] if "seed" in runs else [])]
    telling = sorted(telling_keys(runs, keys), key="seed".__eq__)
    telling += [key for key in ("tags", "note") if key in runs and key not in telling and _says_something(runs[key])]
    return [_facet(runs[key], key, name) for key, name in zip(telling, names(telling), strict=True)] + [_states(runs)]


def _says_something(column: "pd.Series[Any]") -> bool:
    return any(isinstance(value, str | tuple) and len(value) for value in column)


def names(keys: Sequence[str]) -> list[str]:
    """Short names of keys, all different."""
    found = [short(key) for key in keys]
    return [name if found.count(name) == 1 else key for name, key in zip(found, keys, strict=True)]


def _facet(column: "pd.Series[Any]", key: str, name: str) -> Facet:
    ordered = isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_numeric_dtype(column.dtype)
    shown = column if ordered else pd.Series([None if is_missing(v) else text(v, key) for v in column], dtype="str")
    codes, found = pd.factorize(shown, sort=True)
    values = [text(value, key) for value in found.tolist()]
    if (codes < 0).any():  # what lacks the key comes last
        codes, values = np.where(codes < 0, len(values), codes), [*values, NONE]
    return Facet(key, name, tuple(values), codes.astype(np.int64))


def _states(runs: pd.DataFrame) -> Facet:
    found = [state.value for state in State if (runs["state"] == state).any()]
    return Facet(STATE, STATE, tuple(found), runs["state"].map(found.index).to_numpy(np.int64))


def choices(runs: pd.DataFrame, found: Sequence[Facet]) -> dict[str, str | None]:
    """The keys that colour the curves, dash them, and have a panel each, where a reader has chosen nothing.

    As in the figures: a panel each for the network or the norm, or for a key with few values where there would be too
    many lines; colours for the key with most values.
    """
    choosable = {facet.key for facet in found if facet.choosable} - {STATE}
    firsts = runs[~number_of(runs).duplicated()]
    firsts.attrs["keys"] = [key for key in keys_of(runs) if key in choosable or key == "tau"]
    arranged = arrange(firsts, [])
    panel = next((key for key in arranged.panels if key in choosable), None)
    lines = [key for key in (*arranged.lines, *arranged.panels) if key in choosable and key != panel]
    alone = [key for key in ("seed",) if not lines and key in choosable]
    colour, dashes, *_ = [*lines, *alone, None, None]
    return {"colour": colour, "dashes": dashes, "panels": panel}
