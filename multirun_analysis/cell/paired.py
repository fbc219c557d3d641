"""Differences: a column of a table against a baseline column, seed by seed where that is possible.

Two cells that have most of their seeds in common are compared seed by seed (Student's interval of the differences);
others as independent means, with Welch's interval: one common seed of ten would throw nine away.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from multirun_analysis.cell.cells import FEWEST, done_values, number_of
from multirun_analysis.cell.layout import Pivot
from multirun_analysis.labels.values import short
from multirun_analysis.stats.intervals import half_width, welch
from multirun_analysis.stats.sample import Sample
from taunode.errors import BadInput, nearest

COLUMNS = ("pairs", "difference", "difference_sd", "difference_low", "difference_high")


@dataclass(frozen=True)
class Difference:
    """Of two cells' means.

    Attributes:
        pairs: seeds that both have, if they are compared by them; else 0.
        mean: first − second; NaN where one has no value.
        sd: of the differences of the pairs; NaN where there are none.
        low, high: 95 % interval; NaN below three seeds.
    """

    pairs: int = 0
    mean: float = math.nan
    sd: float = math.nan
    low: float = math.nan
    high: float = math.nan


def differences(first: pd.DataFrame, second: pd.DataFrame, partner: Mapping[int, int]) -> dict[int, Difference]:
    """The difference of cells.

    Args:
        first, second: columns `cell`, `seed` (NA where there is none), `value`.
        partner: which cell of the second each cell of the first is compared with.
    """
    chosen = first[first["cell"].isin(partner.keys())]
    ours = chosen.assign(partner=chosen["cell"].map(partner))
    both = by_seed(ours.dropna(subset="seed"), ["cell", "partner"]).merge(
        by_seed(second.dropna(subset="seed"), ["cell"]).rename(columns={"cell": "partner"}), on=["partner", "seed"]
    )
    change = (both["value_x"] - both["value_y"]).groupby(both["cell"])
    pairs, mean, sd = change.count().to_dict(), change.mean().to_dict(), change.std().to_dict()
    samples, others = (_samples(side) for side in (first, second))
    found = {}
    for cell, other in partner.items():
        a, b = samples.get(cell, NONE), others.get(other, NONE)
        count = pairs.get(cell, 0)
        if count >= 1 and 2 * count > max(a.n, b.n):
            half = float(half_width(count, sd[cell])) if count >= FEWEST else math.nan
            found[cell] = Difference(count, mean[cell], sd[cell], mean[cell] - half, mean[cell] + half)
        else:
            half = welch(a, b) if min(a.n, b.n) >= FEWEST else math.nan
            found[cell] = Difference(0, a.mean - b.mean, math.nan, a.mean - b.mean - half, a.mean - b.mean + half)
    return found


NONE = Sample(0, math.nan, math.nan)


def values_of(runs: pd.DataFrame, value: str, cell: "pd.Series[int] | None" = None) -> pd.DataFrame:
    """The values of done runs as `differences` takes them."""
    seeds = runs["seed"] if "seed" in runs else pd.Series(pd.NA, index=runs.index)
    cell = number_of(runs) if cell is None else cell
    table = pd.DataFrame({"cell": cell, "seed": seeds.astype("object"), "value": done_values(runs, value)})
    return table.dropna(subset="value")


def by_seed(values: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """A row a cell and seed; several runs of a seed count as their mean."""
    return values.groupby([*keys, "seed"])[["value"]].mean().reset_index()


def _samples(values: pd.DataFrame) -> dict[int, Sample]:
    grouped = values.groupby("cell")["value"].agg(["count", "mean", "std"])
    return {int(cell): Sample(int(n), float(mean), float(sd)) for cell, n, mean, sd in grouped.itertuples()}


def with_differences(layout: Pivot, runs: pd.DataFrame, baseline: str) -> Pivot:
    """The layout, its cells with their differences to the cell of the same row in the baseline column.

    Args:
        baseline: a label of the last column key; a column is compared with the one that has it, and the same other
            labels.

    Returns:
        The cells have, beside what they had, those of `Difference` in `COLUMNS`; NaN for the baseline itself.

    Raises:
        BadInput: there is no such column.
    """
    labels = [place[-1] for place in layout.columns if place]
    if baseline not in labels:
        key = short(layout.column_keys[-1]) if layout.column_keys else "columns"
        raise BadInput(f"baseline {baseline!r} is not a column; {key}: {nearest(baseline, labels)}")
    numbers = layout.cells["cell"].tolist()
    bases = {}
    for (row, column), place in layout.places.items():
        base = layout.places.get((row, (*column[:-1], baseline)))
        if base is not None and base != place:
            bases[numbers[place]] = numbers[base]
    values = values_of(runs, str(layout.cells["value"].iloc[0]))
    found = differences(values, values, bases)
    rows = [found.get(cell, Difference()) for cell in numbers]
    columns = {
        name: np.array([getattr(row, attribute) for row in rows])
        for name, attribute in zip(COLUMNS, ("pairs", "mean", "sd", "low", "high"), strict=True)
    }
    cells = layout.cells.assign(**columns)
    cells.attrs = layout.cells.attrs
    return replace(layout, cells=cells)
