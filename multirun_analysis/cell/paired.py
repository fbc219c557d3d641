"""Paired differences: a column of a table against a baseline column, seed by seed."""

import numpy as np
import pandas as pd

from multirun_analysis.cell.cells import done_values, number_of
from multirun_analysis.cell.layout import Pivot
from multirun_analysis.labels.values import short
from multirun_analysis.stats.intervals import half_width
from multirun_analysis.stats.sample import Sample
from taunode.errors import BadInput, nearest

COLUMNS = ("pairs", "difference", "difference_sd", "difference_low", "difference_high")


def by_seed(runs: pd.DataFrame, value: str, cell: "pd.Series[int] | None" = None) -> pd.DataFrame:
    """The values of done runs: a row a cell (its number), a column a seed; several runs of a seed count as their mean.

    Args:
        cell: each run's cell; that of `number_of` where nothing is said.

    Raises:
        BadInput: the runs have no seeds.
    """
    if "seed" not in runs:
        raise BadInput("differences are taken seed by seed, and these runs have no key 'seed'")
    cell = number_of(runs) if cell is None else cell
    table = pd.DataFrame({"cell": cell, "seed": runs["seed"], "value": done_values(runs, value)})
    return table.pivot_table(index="cell", columns="seed", values="value", aggfunc="mean", dropna=False)


def difference(first: "pd.Series[float]", second: "pd.Series[float]") -> Sample:
    """Mean and sd of first − second over the seeds that both have."""
    return Sample.of((first - second).dropna().to_numpy())


def with_differences(layout: Pivot, runs: pd.DataFrame, baseline: str) -> Pivot:
    """The layout, its cells with their differences to the cell of the same row in the baseline column.

    Args:
        baseline: a label of the last column key; a column is compared with the one that has it, and the same other
            labels.

    Returns:
        The cells have, beside what they had, `pairs` (0 for the baseline itself), `difference`, `difference_sd`, and
        the 95 % interval `difference_low`, `difference_high`.

    Raises:
        BadInput: there is no such column.
    """
    labels = [place[-1] for place in layout.columns if place]
    if baseline not in labels:
        key = short(layout.column_keys[-1]) if layout.column_keys else "columns"
        raise BadInput(f"baseline {baseline!r} is not a column; {key}: {nearest(baseline, labels)}")
    values = by_seed(runs, str(layout.cells["value"].iloc[0]))
    samples = {number: Sample(0, np.nan, np.nan) for number in layout.places.values()}
    for (row, column), number in layout.places.items():
        base = layout.places.get((row, (*column[:-1], baseline)))
        if base is not None and base != number:
            both = values.reindex(layout.cells["cell"].iloc[[number, base]])
            samples[number] = difference(both.iloc[0], both.iloc[1])
    ordered = [samples[number] for number in range(len(layout.cells))]
    pairs, mean, sd = (np.array([getattr(sample, name) for sample in ordered]) for name in ("n", "mean", "sd"))
    half = half_width(pairs, sd)
    columns = dict(zip(COLUMNS, (pairs, mean, sd, mean - half, mean + half), strict=True))
    cells = layout.cells.assign(**columns)
    cells.attrs = layout.cells.attrs
    return Pivot(cells, layout.row_keys, layout.column_keys, layout.rows, layout.columns, layout.places)
