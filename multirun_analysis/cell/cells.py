"""Cells: the runs of a sweep that differ in `seed` only, as n, mean and standard deviation."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.labels.quantity import bounds, is_ranked, rises, words
from multirun_analysis.stats.intervals import half_width, median_interval
from taunode.errors import BadInput, nearest
from taunode.runs.signature import UNSIGNED
from taunode.runs.state import RESULTS, State

LISTED = 3  # seeds
PLACE = {state.value: place for place, state in enumerate(State)}
FEWEST = 3  # seeds that an interval is shown for: of two it is 18 times as wide as they are apart
ALWAYS = ("final_test_error", "best_test_error")  # values that every finished run has; a planned sweep has none yet


def cells(runs: pd.DataFrame, value: str = "final_test_error") -> pd.DataFrame:
    """One row a cell, by depth (or layers), then τ from the largest on, then norm.

    A diverged run is a result without a value: it counts in `diverged`, and does not enter the mean.

    Args:
        runs: `Sweep.runs`, or some rows of it.
        value: a column of numbers that is not part of the configuration.

    Returns:
        The configuration's columns without `seed`, what does not change the mathematics, and `tau`; then `cell` (its
        number, as of `number_of`), `value` (its name), `n` (runs with a value), `mean`, `sd` (over n − 1; NaN when
        n < 2), `low` and `high` (95 % interval of the mean, Student's t, within what the quantity can be; NaN when
        n < `FEWEST`), `median` with `median_low` and `median_high` (percentile bootstrap, NaN as before), `best` (the
        highest of an accuracy, else the lowest), `runs` (all of the cell), `finished` (done or diverged), `diverged`
        (of the finished), and as text, empty when there are none: `unfinished` ("1 planned, 1 failed") and `missing`
        (seeds that other cells have: "no seed 2"). Of tuned runs also `tuned`, at which values.
        `attrs["keys"]` lists the columns of the configuration.

    Raises:
        BadInput: `value` is not such a column, or `runs` has lost the list of its keys.
    """
    keys = keys_of(runs)
    valid = values(runs)
    if value not in valid:
        raise BadInput(f"value {value!r} is not one of the sweep's; nearest: {nearest(value, valid)}")
    code = number_of(runs)
    state = runs["state"]
    numbers = done_values(runs, value)
    of_cell = numbers.groupby(code)
    finished = state.isin([result.value for result in RESULTS])
    table = runs.loc[~code.duplicated(), [*keys, "tau"]].set_axis(code[~code.duplicated()], axis=0)
    n, mean, sd = of_cell.count(), of_cell.mean(), of_cell.std()
    half = np.where(n < FEWEST, math.nan, half_width(n, sd))
    least, most = bounds(value, numbers.min(), numbers.max())
    median_low, median_high = _medians(numbers, code, n)
    table = table.assign(
        cell=n.index,
        value=value,
        n=n,
        mean=mean,
        sd=sd,
        low=(mean - half).clip(lower=least),
        high=(mean + half).clip(upper=most),
        median=of_cell.median(),
        median_low=median_low,
        median_high=median_high,
        best=of_cell.max() if rises(value) else of_cell.min(),
        runs=code.groupby(code).size(),
        finished=finished.groupby(code).sum(),
        diverged=(state == State.DIVERGED).groupby(code).sum(),
        unfinished=_in_words(state[~finished], code[~finished]).reindex(table.index, fill_value=""),
        missing=_missing(runs, code).reindex(table.index, fill_value=""),
    )
    if "tuned" in runs and "tuned" not in keys:
        table = table.assign(tuned=runs["tuned"].groupby(code).first())
    table = _in_order(table)
    table.attrs["keys"] = keys
    return table


def done_values(runs: pd.DataFrame, value: str) -> "pd.Series[float]":
    """The values of the runs that are done; NaN for the others."""
    numbers = pd.to_numeric(runs[value]) if value in runs else pd.Series(float("nan"), index=runs.index)
    return numbers.astype("float64").where(runs["state"] == State.DONE)


def _medians(
    numbers: "pd.Series[float]", code: "pd.Series[int]", n: "pd.Series[int]"
) -> tuple["pd.Series[float]", "pd.Series[float]"]:
    """The ends of the medians' intervals; cells with as many values are done at once."""
    low, high = pd.Series(math.nan, index=n.index), pd.Series(math.nan, index=n.index)
    known = numbers.notna().to_numpy()
    order = np.argsort(code.to_numpy()[known], kind="stable")
    values, cell = numbers.to_numpy()[known][order], code.to_numpy()[known][order]
    count = n.reindex(cell).to_numpy()
    for size in np.unique(count[count >= FEWEST]):
        chosen = count == size
        cells = cell[chosen][::size]
        low.loc[cells], high.loc[cells] = median_interval(values[chosen].reshape(-1, size))
    return low, high


def keys_of(runs: pd.DataFrame) -> list[str]:
    """The keys that tell cells apart: the configuration without `seed` and what does not change the mathematics.

    Raises:
        BadInput: `runs` has lost the list of its keys.
    """
    if "keys" not in runs.attrs:
        raise BadInput("cells: these are not the runs that load() returned: attrs['keys'] is missing")
    return [key for key in runs.attrs["keys"] if not (key == "seed" or key in UNSIGNED or key.startswith("runtime."))]


def number_of(runs: pd.DataFrame) -> "pd.Series[int]":
    """The number of each run's cell, from 0.

    Another seed (`embedding.seed`) that equals `seed` in all runs of what would be a cell without it follows it.
    """
    varying = [key for key in keys_of(runs) if runs[key].nunique(dropna=False) > 1]
    seeds = [key for key in varying if key.endswith(".seed") and "seed" in runs]
    if not seeds:
        return _grouped(runs, varying)
    without = _grouped(runs, [key for key in varying if key not in seeds])
    same = runs[seeds].eq(runs["seed"], axis=0).groupby(without).transform("all")
    return _grouped(runs.assign(**{key: runs[key].mask(same[key]) for key in seeds}), varying)


def _grouped(runs: pd.DataFrame, keys: list[str]) -> "pd.Series[int]":
    if not keys:
        return pd.Series(0, index=runs.index)
    return runs.groupby(keys, dropna=False, sort=False, observed=True).ngroup()


def values(runs: pd.DataFrame) -> list[str]:
    """The columns that `cells` can average: numbers that are not part of the configuration."""
    numeric = runs.select_dtypes(["number"], exclude=["bool", "boolean"]).columns
    return sorted((set(numeric) - set(runs.attrs["keys"])) | set(ALWAYS))


def default_value(runs: pd.DataFrame) -> str:
    """What a sweep is about where nobody says: the final test error, else the first final result that it has."""
    finals = [name for name in values(runs) if name.startswith("final_") and name in runs]
    if ALWAYS[0] in finals or not finals:
        return ALWAYS[0]
    tested = [name for name in finals if {"test", "val", "valid", "validation", "eval"} & set(words(name))]
    ranked = [name for name in (*tested, *finals) if is_ranked(name)]
    return next(iter([*ranked, *finals]))


def _in_words(state: "pd.Series[str]", code: "pd.Series[int]") -> "pd.Series[str]":
    """The unfinished runs of each cell that has some: "1 planned, 2 failed"."""
    counts = Counter(zip(code.tolist(), state.tolist(), strict=True))
    words: dict[int, list[str]] = {}
    for (cell, word), count in sorted(counts.items(), key=lambda item: PLACE[item[0][1]]):
        words.setdefault(cell, []).append(f"{count} {word}")
    return pd.Series({cell: ", ".join(said) for cell, said in words.items()}, dtype="object")


def _missing(runs: pd.DataFrame, code: "pd.Series[int]") -> "pd.Series[str]":
    """The seeds that a cell has no run of, though others have: "no seed 2"."""
    if "seed" not in runs:
        return pd.Series(dtype="object")
    every = set(runs["seed"].dropna().tolist())
    own: dict[int, set[Any]] = {cell: set() for cell in code.unique().tolist()}
    for cell, seed in zip(code.tolist(), runs["seed"].tolist(), strict=True):
        if seed in every:
            own[cell].add(seed)
    words = {}
    for cell, seeds in own.items():
        lacking = len(every) - len(seeds)
        if lacking:
            few = lacking <= LISTED
            which = ", ".join(map(str, sorted(every - seeds))) if few else f"{lacking} of {len(every)}"
            words[cell] = f"no seed {which}" if lacking == 1 else f"no seeds {which}"
    return pd.Series(words, dtype="object")


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """By depth or layers, then τ (falling: the exponent rises and the scale falls), then norm. Unknown ones last."""
    order = pd.DataFrame(index=table.index)
    for key, sign in (("arch.depth", 1), ("arch.layers", 1), ("tau.exponent", 1), ("tau.scale", -1)):
        if key in table:
            order[key] = sign * pd.to_numeric(table[key], errors="coerce").astype("float64")
    for key in ("tau", "arch.norm"):
        if key in table:
            order[key] = table[key]
    ordered = order.sort_values(list(order.columns), kind="stable").index
    return table.loc[ordered].reset_index(drop=True)
