"""Probes: what `runtime.probes` has seen inside the networks of a sweep, a row a run, step and part.

The columns are those of `taunode.training.probes`. A file that is damaged, or is none of ours, is listed with the
reason; nothing in it is executed.
"""

import io
import os
import re

import numpy as np
import pandas as pd

from multirun_analysis.read.epochs import UNREADABLE
from multirun_analysis.read.sweep import Sweep
from taunode.runs.directory import RunDirectory
from taunode.runs.files import read_bytes

PLACES = {"epoch": np.int64, "step": np.int64, "block": np.int64}
QUANTITIES = {  # and what each is called
    "features": "RMS of the features",
    "branch": "RMS of the branch, τ·F",
    "feature_gradient": "norm of the gradient by the features",
    "feature_change": "RMS of the features' change by a step",
    "weights": "norm of the weights",
    "gradient": "norm of the weights' gradient",
    "update": "norm of the weights' update",
}
PARTS = ("stem", "block", "knot", "layer", "head")
ENDS = ("stem", "head")


def read_probes(sweep: Sweep) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """The probes of all runs that have some, with the column `run`; and (run, reason) of those that cannot be read."""
    tables, broken = [], []
    for name, path in zip(sweep.runs["run"], sweep.runs["path"], strict=True):
        try:
            table = of_run(RunDirectory(path))
        except UNREADABLE as error:
            broken.append((str(name), f"probes: {error}"))
            continue
        if table is not None:
            tables.append(table.assign(run=name))
    empty = pd.DataFrame(columns=["run", "part", *PLACES, *QUANTITIES])
    return pd.concat(tables, ignore_index=True) if tables else empty, broken


def of_run(run: RunDirectory) -> pd.DataFrame | None:
    """Those of the attempt that `done` names, else of the newest that has some; None without any.

    Raises:
        UNREADABLE: a file is damaged.
    """
    names = os.listdir(run.path)
    found = (re.fullmatch(r"probes\.(\d+)\.parquet", name) for name in names)
    attempts = [int(match[1]) for match in found if match]
    if not attempts:
        return None
    attempt = run.read_done()["attempt"] if run.done.name in names else max(attempts)
    if attempt not in attempts:
        return None
    table = pd.read_parquet(io.BytesIO(read_bytes(run.probes(attempt))), columns=["part", *PLACES, *QUANTITIES])
    if not table["part"].isin(PARTS).all() or (table[[*PLACES]] < 0).any(axis=None):
        raise ValueError("not such a table")
    return table.astype({**PLACES, **dict.fromkeys(QUANTITIES, np.float64), "part": str})
