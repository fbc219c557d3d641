"""Tuned: methods at their best learning rate: of the cells that differ in nothing but some keys the best one alone.

What is read off the test set is chosen by the validation split, where all runs have one; what is reported of the chosen
cell is then no longer the luckiest of many numbers.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from multirun_analysis.cell.cells import cells, number_of
from multirun_analysis.labels.quantity import is_ranked, rises
from multirun_analysis.labels.values import short, text
from taunode.errors import BadInput, nearest
from taunode.runs.state import State


def best_runs(runs: pd.DataFrame, keys: Sequence[str], value: str) -> pd.DataFrame:
    """The runs of the best cells.

    The best is the first by `ranked`.

    Args:
        runs: `Sweep.runs`, or some rows of it.
        keys: of the configuration, what was tuned.
        value: a column of numbers of which less, or more, is better.

    Returns:
        These runs with a column `tuned` that says what the best values are. `attrs["keys"]` no longer has `keys`,
        `attrs["tuned"]` says how they were chosen.

    Raises:
        BadInput: a key that there is not; a value that has no better and worse.
    """
    if not is_ranked(value):
        raise BadInput(f"{value} has no better and worse, so that nothing can be tuned by it")
    if not keys:
        raise BadInput("no key is named, of which the best value could be chosen")
    by = chooser(runs, value)
    found = cells(runs, by)
    for key in keys:
        if key not in (valid := found.attrs["keys"]):
            raise BadInput(f"{key!r} is not a key of the sweep's configuration; nearest: {nearest(key, valid)}")
    others = [key for key in found.attrs["keys"] if key not in keys and found[key].nunique(dropna=False) > 1]
    setting = found.groupby(others, dropna=False, observed=True).ngroup() if others else pd.Series(0, found.index)
    best = found.loc[ranked(found).groupby(setting).idxmin()]
    nowhere = (found["diverged"] == found["runs"]).groupby(setting).all()
    said = {}
    for place, row in zip(best.index, best.to_dict("records"), strict=True):
        values = ", ".join(f"{short(key)} {text(row[key])}" for key in keys)
        said[row["cell"]] = f"at every {', '.join(map(short, keys))}" if nowhere[setting[place]] else values
    code = number_of(runs)
    kept = runs[code.isin(said)].assign(tuned=code.map(said))
    left = [key for key in runs.attrs["keys"] if key not in keys]
    kept.attrs = runs.attrs | {"keys": left, "tuned": _note(found, setting, best, keys, by)}
    return kept


def ranked(cells: pd.DataFrame) -> "pd.Series[int]":
    """The rank of each cell, from 0: the fewer of its seeds diverged, then the better its mean; equal ones in order."""
    value = str(cells["value"].iloc[0]) if len(cells) else ""
    order = pd.DataFrame({"gone": (cells["diverged"] / cells["finished"]).fillna(np.inf)})
    order["worth"] = cells["mean"] * (-1.0 if rises(value) else 1.0)
    order = order.sort_values(["gone", "worth"], kind="stable")
    return pd.Series(range(len(order)), index=order.index).reindex(cells.index)


def chooser(runs: pd.DataFrame, value: str) -> str:
    """The same number of the validation split where every run that is done has one, else the value itself."""
    held = value.replace("test", "validation")
    done = runs["state"] == State.DONE
    return held if held in runs and done.any() and runs.loc[done, held].notna().all() else value


def _note(found: pd.DataFrame, setting: "pd.Series[int]", best: pd.DataFrame, keys: Sequence[str], by: str) -> str:
    """`lr: the best of 5 by final_validation_error; at an end of its grid in 2 of 12 settings`."""
    most = setting.value_counts().max()
    parts = [f"{', '.join(map(short, keys))}: the best of {most} by {by}"]
    for key in keys:
        ends = found.groupby(setting)[key].agg(["min", "max", "nunique"]) if _is_number(found[key]) else None
        if ends is not None and (ends["nunique"] > 2).any():
            of = ends.loc[setting[best.index]].set_axis(best.index)
            outermost = int((((best[key] == of["min"]) | (best[key] == of["max"])) & (best["n"] > 0)).sum())
            if outermost:
                parts.append(f"{short(key)} is at an end of its grid in {outermost} of {len(best)} settings")
    if waiting := int((found["finished"] < found["runs"]).groupby(setting).any().sum()):
        parts.append(f"{waiting} settings are not complete")
    return "; ".join(parts)


def _is_number(column: "pd.Series[float]") -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
