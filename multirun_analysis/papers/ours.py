"""Ours: which of our runs a published number can be compared with, and what they gave."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from multirun_analysis.cell.cells import keys_of, number_of
from multirun_analysis.cell.naming import called, telling_keys
from multirun_analysis.papers.protocol import differing, protocol, reason_of
from multirun_analysis.papers.published import Number, published
from multirun_analysis.stats.sample import Sample
from taunode.runs.state import RESULTS, State


@dataclass(frozen=True)
class Ours:
    """A cell of ours of a published number's networks.

    Attributes:
        sample: of the runs that have the value.
        runs, finished, diverged: how many of them there are.
        cell: what tells it from our other cells of the number; empty where there is only one.
        names: of these runs.
    """

    sample: Sample
    runs: int
    finished: int
    diverged: int
    cell: str = ""
    names: tuple[str, ...] = ()


def belonging(runs: pd.DataFrame) -> list[Number]:
    """The published numbers of the experiments of which there are runs, whatever protocol these have."""
    experiments = {number.experiment for number in published() if len(at(runs, number.position))}
    return [number for number in published() if number.experiment in experiments]


def at(runs: pd.DataFrame, keys: Mapping[str, Any]) -> pd.DataFrame:
    """The runs with these values."""
    chosen = pd.Series(True, index=runs.index)
    for key, value in keys.items():
        chosen &= (runs[key] == value).fillna(False).astype(bool) if key in runs else False
    found = runs[chosen]
    found.attrs = runs.attrs
    return found


def comparable(number: Number, runs: pd.DataFrame) -> tuple[list[Ours], dict[str, tuple[Any, Any]]]:
    """Our cells of a number's networks that keep its protocol, and where the one that comes nearest does not."""
    found = at(runs, number.position)
    keys, expected = keys_of(found), protocol(number)
    cells, away = [], []
    for _, cell in found.groupby(number_of(found), sort=True):
        away.append(differing(cell.iloc[0].to_dict(), keys, expected))
        if not away[-1]:
            cells.append(cell)
    named = sorted(zip(_names(cells, keys), cells, strict=True), key=lambda pair: pair[0])
    return [_ours(cell, number.value, name) for name, cell in named], min(away, key=len, default={})


def beside(numbers: Sequence[Number], runs: pd.DataFrame) -> tuple[list[tuple[Number, int]], list[str]]:
    """The numbers that can be drawn beside ours, each with our cell (as of `number_of`), and why the others cannot.

    Only what keeps the protocol is drawn: a number of another data set would be compared by everybody who sees it.
    """
    cell = number_of(runs)
    keys, found = keys_of(runs), []
    reasons: dict[str, int] = {}
    for number in numbers:
        of_number = at(runs, number.position)
        firsts = of_number[~cell[of_number.index].duplicated()]
        away = [differing(run, keys, protocol(number)) for run in firsts.to_dict("records")]
        found += [
            (number, int(cell[place])) for place, keys_away in zip(firsts.index, away, strict=True) if not keys_away
        ]
        if all(away):
            nearest = min(away, key=len, default={})
            reason = f"not comparable ({reason_of(nearest)})" if nearest else "not run"
            reasons[f"{number.experiment}, {reason}"] = reasons.get(f"{number.experiment}, {reason}", 0) + 1
    return found, [f"{count} of {reason}" for reason, count in reasons.items()]


def _names(cells: Sequence[pd.DataFrame], keys: Sequence[str]) -> list[str]:
    """What tells the cells apart."""
    if len(cells) < 2:
        return [""] * len(cells)
    firsts = pd.concat([cell.iloc[:1] for cell in cells])
    keys = telling_keys(firsts, keys)
    return [called(cell, keys) for cell in firsts.to_dict("records")]


def _ours(runs: pd.DataFrame, value: str, cell: str) -> Ours:
    """What has diverged has no last epoch; it has had a best one."""
    finished = runs["state"].isin([state.value for state in RESULTS])
    with_value = finished if value.startswith("best_") else runs["state"] == State.DONE
    numbers = pd.to_numeric(runs[value]) if value in runs else pd.Series(math.nan, index=runs.index)
    sample = Sample.of(numbers.astype("float64")[with_value].dropna().to_numpy())
    diverged = int((runs["state"] == State.DIVERGED).sum())
    return Ours(sample, len(runs), int(finished.sum()), diverged, cell, tuple(runs["run"].astype("str")))
