"""Ranks: in how many settings each value of a key is the best one: τ = L^-1/2 in 11 of 12 settings of depth × norm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from multirun_analysis.labels.quantity import is_ranked, rises
from multirun_analysis.labels.values import short, texts


@dataclass(frozen=True)
class Ranks:
    """How often each value of a key has the best mean.

    Attributes:
        key: whose values are compared.
        others: the other keys; a setting is a combination of their values.
        best: for each value, as text, in how many settings it is the best; two that are equal both are.
        settings: for each value, in how many it was compared with another one.
        mean_rank: its rank from 1 on, averaged over these.
        left_out: settings in which a value has no finished run yet.
    """

    key: str
    others: tuple[str, ...]
    best: dict[str, int]
    settings: dict[str, int]
    mean_rank: dict[str, float]
    left_out: int

    def __str__(self) -> str:
        """The values that are best in more than half of their settings, else the one that is most often."""
        share = {label: self.best[label] / self.settings[label] for label in self.best}
        most = [label for label in share if share[label] > 0.5] or [max(share, key=share.__getitem__)]
        sign = " = " if self.key == "tau" else " "
        said = [f"{short(self.key)}{sign}{label} in {self.best[label]} of {self.settings[label]}" for label in most]
        over = f" settings of {' × '.join(map(short, self.others))}" if self.others else " settings"
        rest = f"; {self.left_out} more are not complete" if self.left_out else ""
        return f"best: {', '.join(said)}{over}{rest}"


def ranks(cells: pd.DataFrame, key: str, others: Sequence[str]) -> Ranks | None:
    """Count what `cells()` returned.

    Args:
        key: a column with two values at least.
        others: the keys that, with it, tell the cells apart.

    Returns:
        None where nothing is to be said: of a value that has no better and worse, or of fewer than two settings.
        A cell of which every finished run diverged is worse than anything.
    """
    value = str(cells["value"].iloc[0]) if len(cells) else ""
    if not is_ranked(value):
        return None
    setting = cells.groupby(list(others), dropna=False, observed=True).ngroup() if others else pd.Series(0, cells.index)
    table = pd.DataFrame({"setting": setting, "label": texts(cells[key].tolist(), key)})
    table["worth"] = ((-1.0 if rises(value) else 1.0) * cells["mean"]).where(cells["n"] > 0, math.inf)
    by_setting = table.groupby("setting")
    complete = (cells["finished"] > 0).groupby(setting).transform("all")
    several = by_setting["label"].transform("size") > 1
    table = table[complete & several]
    if table["setting"].nunique() < 2:
        return None
    table["rank"] = table.groupby("setting")["worth"].rank()
    least = table.groupby("setting")["worth"].transform("min")
    table["best"] = (table["worth"] == least) & least.lt(math.inf)  # where all diverged, none is best
    by_label = table.groupby("label", sort=False)
    best, size, rank = by_label["best"].sum(), by_label.size(), by_label["rank"].mean()
    counts, settings = ({str(label): int(count) for label, count in found.items()} for found in (best, size))
    left_out = int(setting[several & ~complete].nunique())
    return Ranks(
        key, tuple(others), counts, settings, {str(label): float(mean) for label, mean in rank.items()}, left_out
    )
