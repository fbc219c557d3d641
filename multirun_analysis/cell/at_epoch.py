"""At an epoch: which one a value is of: the last, the best, or the N-th.

The best epoch is one epoch of a run, whatever is read off there: the one that the run itself recorded (by its
validation error, or where it has none by its test error). `--value train_loss --at best` so is the training loss there,
and not the least that there was. A run of another program has recorded none: there a metric of `CHOOSES` says.
"""

import re

import numpy as np
import pandas as pd

from multirun_analysis.labels.quantity import is_ranked, rises, words
from multirun_analysis.read.sweep import Sweep
from taunode.errors import BadInput, nearest

PREFIXES = ("final_", "best_")
MOMENTS = ("final", "best")
# The words of a metric that chooses the best epoch, the first before the others; among them errors before losses.
CHOOSES = (("validation", "val", "valid", "dev"), ("test", "eval"))


def metric_of(value: str) -> str:
    """`final_test_error` → `test_error`."""
    for prefix in PREFIXES:
        value = value.removeprefix(prefix)
    return value


def valued(sweep: Sweep, value: str, when: str | None = None) -> tuple[pd.DataFrame, str]:
    """The sweep's runs with a column for a metric at an epoch, and that column's name.

    Args:
        value: a metric, `test_error`; `final_` or `best_` before it says when, if nothing else does.
        when: `final`, `best`, or `epoch:N`.

    Raises:
        BadInput: no such metric or epoch.
    """
    metric = metric_of(value)
    when = when or next((moment for moment in MOMENTS if value == f"{moment}_{metric}"), "final")
    if when in MOMENTS and f"{when}_{metric}" in sweep.runs:
        return sweep.runs, f"{when}_{metric}"
    found = re.fullmatch(r"epoch:(\d+)", when)
    if when not in MOMENTS and not found:
        raise BadInput(f"--at {when!r}; valid: final, best, epoch:N")
    epochs = sweep.epochs
    if metric not in epochs or metric in ("run", "epoch"):
        raise BadInput(f"{metric!r} is not a metric of the epochs; nearest: {nearest(metric, epochs.columns[2:])}")
    if found:
        number = int(found[1])
        chosen, name = epochs["epoch"] == number, f"{metric}@{number}"
        if not chosen.any():
            raise BadInput(f"--at {when}: no run has this epoch; the last one is {epochs['epoch'].max()}")
    elif when == "final":
        chosen, name = ~epochs["run"].duplicated(keep="last"), f"final_{metric}"
    else:
        chosen, name = epochs["epoch"] == epochs["run"].map(best_epochs(sweep)).astype("Float64"), f"best_{metric}"
    at = epochs[chosen.fillna(False).astype(bool)]
    values = at[metric].where(np.isfinite(at[metric])).set_axis(at["run"], axis=0)
    runs = sweep.runs.assign(**{name: sweep.runs["run"].map(values.to_dict()).astype("float64")})
    runs.attrs = sweep.runs.attrs
    return runs, name


def best_epochs(sweep: Sweep) -> "pd.Series[float]":
    """The best epoch of each run (its name is the index); NaN where a run has none."""
    recorded = sweep.runs.set_index("run").reindex(columns=["best_epoch"])["best_epoch"].astype("float64")
    if recorded.notna().all():
        return recorded
    epochs, metric = sweep.epochs, chooser(sweep)
    if metric is None:
        return recorded
    sign = -1 if rises(metric) else 1
    values = (sign * epochs[metric]).where(np.isfinite(epochs[metric]))
    by_run = values.dropna().groupby(epochs["run"], observed=True)
    found = epochs.loc[by_run.idxmin(), ["run", "epoch"]]
    return recorded.fillna(found.set_index(found["run"].astype("str"))["epoch"].astype("float64"))


def chooser(sweep: Sweep) -> str | None:
    """The metric that chooses the best epoch of a run that has recorded none; None where the epochs have no such."""
    ranked = [name for name in map(str, sweep.epochs.columns[2:]) if is_ranked(name)]
    ranked.sort(key=lambda name: "loss" in words(name))
    for group in CHOOSES:
        for name in ranked:
            if set(group) & set(words(name)):
                return name
    return next(iter(ranked), None)


def chosen_by(sweep: Sweep) -> str:
    """What chose the best epochs, in words."""
    runs = sweep.runs
    if "best_epoch" not in runs:
        return f"the best epoch, chosen by {chooser(sweep)}"
    holdout = runs["dataset.holdout"].fillna(0) if "dataset.holdout" in runs else pd.Series(0, index=runs.index)
    if (holdout > 0).all():
        return "the best epoch, chosen by the validation split"
    some = " where there is no validation split" if (holdout > 0).any() else ""
    return f"the best epoch, chosen by the test set{some}"
