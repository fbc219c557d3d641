"""Moment: which epoch a value is of: the last, the best, or the N-th."""

import re

import numpy as np
import pandas as pd

from multirun_analysis.cell.cells import rises
from multirun_analysis.read.sweep import Sweep
from taunode.errors import BadInput, nearest

PREFIXES = ("final_", "best_")


def metric_of(value: str) -> str:
    """`final_test_error` → `test_error`."""
    for prefix in PREFIXES:
        value = value.removeprefix(prefix)
    return value


def valued(sweep: Sweep, value: str, when: str) -> tuple[pd.DataFrame, str]:
    """The sweep's runs with a column for a metric at a moment, and that column's name.

    Args:
        value: a metric, `test_error`; `final_` or `best_` before it is dropped.
        when: `final`, `best` (of what chose it, see `chosen_by`), or `epoch:N`.

    Raises:
        BadInput: no such metric or moment.
    """
    metric = metric_of(value)
    if when in ("final", "best") and f"{when}_{metric}" in sweep.runs:
        return sweep.runs, f"{when}_{metric}"
    found = re.fullmatch(r"epoch:(\d+)", when)
    if when not in ("final", "best") and not found:
        raise BadInput(f"--at {when!r}; valid: final, best, epoch:N")
    epochs = sweep.epochs
    if metric not in epochs or metric in ("run", "epoch"):
        raise BadInput(f"{metric!r} is not a metric of the epochs; nearest: {nearest(metric, epochs.columns[2:])}")
    finite = epochs[metric].where(np.isfinite(epochs[metric]))
    if found:
        number = int(found[1])
        chosen, name = epochs["epoch"] == number, f"{metric}@{number}"
        if not chosen.any():
            raise BadInput(f"--at {when}: no run has this epoch; the last one is {epochs['epoch'].max()}")
        values = finite[chosen].groupby(epochs["run"][chosen], observed=True).last()
    else:
        by_run = finite.groupby(epochs["run"], observed=True)
        name, best = f"{when}_{metric}", "max" if rises(metric) else "min"
        values = by_run.last() if when == "final" else by_run.agg(best)
    runs = sweep.runs.assign(**{name: sweep.runs["run"].map(values.to_dict()).astype("float64")})
    runs.attrs = sweep.runs.attrs
    return runs, name


def chosen_by(runs: pd.DataFrame) -> str:
    """What chose the best epochs: a validation split where there is one, else the test set itself."""
    holdout = runs["dataset.holdout"].fillna(0) if "dataset.holdout" in runs else pd.Series(0, index=runs.index)
    if (holdout > 0).all():
        return "the best epoch, chosen by the validation split"
    return "the best epoch, chosen by the test set" + (
        " where there is no validation split" if (holdout > 0).any() else ""
    )
