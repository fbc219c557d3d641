"""Ranks: in how many settings each value of a key is the best one: "τ = L^-1/2 is best in 11 of 12 settings"."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from multirun_analysis.labels.quantity import is_ranked, rises
from multirun_analysis.labels.values import short, text


@dataclass(frozen=True)
class Ranks:
    """How often each value of a key has the best mean.

    Attributes:
        key: whose values are compared.
        settings: combinations of the other keys in which every value has finished runs.
        left_out: the other combinations.
        best: for each value, as text, in how many settings it is the best; two that are equal both are.
        mean_rank: its rank from 1 on, averaged over the settings.
    """

    key: str
    others: tuple[str, ...]
    settings: int
    left_out: int
    best: dict[str, int]
    mean_rank: dict[str, float]

    def __str__(self) -> str:
        label = max(self.best, key=self.best.__getitem__)
        sign = " = " if self.key == "tau" else " "
        over = f" ({' × '.join(map(short, self.others))})" if self.others else ""
        rest = f"; {self.left_out} more are not complete" if self.left_out else ""
        return f"{short(self.key)}{sign}{label} is best in {self.best[label]} of {self.settings} settings{over}{rest}"


def ranks(cells: pd.DataFrame, key: str, others: Sequence[str]) -> Ranks | None:
    """Count what `cells()` returned.

    Args:
        key: a column with two values at least.
        others: the keys that, with it, tell the cells apart.

    Returns:
        None where nothing is to be said: of a value that has no better and worse, or fewer than two settings.
        Of which every finished run diverged is worse than anything.
    """
    value = str(cells["value"].iloc[0]) if len(cells) else ""
    if not is_ranked(value):
        return None
    sign = -1.0 if rises(value) else 1.0
    worth = (sign * cells["mean"]).where(cells["n"] > 0, math.inf).where(cells["finished"] > 0)
    labels = pd.Series([text(item, key) for item in cells[key].tolist()])
    setting = cells.groupby(list(others), dropna=False, observed=True).ngroup() if others else pd.Series(0, cells.index)
    wide = worth.groupby([setting.to_numpy(), labels.to_numpy()], sort=False).first().unstack(sort=False)
    whole = wide.dropna()
    if len(whole) < 2 or whole.shape[1] < 2:
        return None
    best, rank = whole.eq(whole.min(axis=1), axis=0).sum(), whole.rank(axis=1).mean()
    names = list(map(str, whole.columns))
    counts = dict(zip(names, map(int, best), strict=True))
    return Ranks(key, tuple(others), len(whole), len(wide) - len(whole), counts, dict(zip(names, rank, strict=True)))
