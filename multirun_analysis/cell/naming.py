"""Telling apart: the fewest keys in which cells differ, and a cell's name made of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from multirun_analysis.labels.tau import tau_math
from multirun_analysis.labels.values import NONE, short, text

FIRST = (
    *("arch._target_", "arch.depth", "arch.norm", "tau", "arch.layers", "arch.channels", "embedding.passes"),
    "dataset.name",
)


ALWAYS = ("arch._target_", "arch.norm")  # are told where they vary, also if τ's label already tells them apart


def telling_keys(cells: pd.DataFrame, keys: Sequence[str], given: Sequence[str] = ()) -> list[str]:
    """The fewest of `keys` (and `tau`, the label) that, with those `given`, tell rows apart.

    Those in `FIRST` come before the others, and of these the ones that name a class, from which others follow.
    """
    ordered = sorted(keys, key=lambda key: not key.endswith("_target_"))
    known = [key for key in dict.fromkeys([*FIRST, *ordered]) if key in cells and key not in given]
    varying = [key for key in known if cells[key].nunique(dropna=False) > 1]
    chosen: list[str] = []
    count = _groups(cells, given)
    for key in varying:
        if (more := _groups(cells, [*given, *chosen, key])) > count:
            chosen.append(key)
            count = more
    for key in [key for key in reversed(chosen) if key not in ALWAYS]:
        others = [other for other in chosen if other != key]
        if _groups(cells, [*given, *others]) == count:
            chosen = others
    return chosen


def _groups(cells: pd.DataFrame, keys: Sequence[str]) -> int:
    return len(cells[list(keys)].drop_duplicates()) if keys else min(len(cells), 1)


def called(cell: Mapping[Any, Any], keys: Sequence[str]) -> str:
    """A cell's name: `RKHS, layers 5`, `depth 20, norm batch, τ = L^-1/2`."""
    return ", ".join(_part(key, cell[key]) for key in keys)


def in_math(cell: Mapping[Any, Any], keys: Sequence[str]) -> str:
    """The same for a figure: τ as mathematics."""
    return ", ".join(
        f"τ = {tau_math(text(cell[key]))}" if key == "tau" else _part(key, cell[key]).replace("$", r"\$")
        for key in keys
    )


def _part(key: str, value: Any) -> str:
    shown = text(value, key)
    if key.endswith("_target_") and shown != NONE:  # a class says what it is; where there is none, the key does
        return shown
    return f"{short(key)} = {shown}" if key == "tau" else f"{short(key)} {shown}"
