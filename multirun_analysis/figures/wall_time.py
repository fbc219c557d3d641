"""Error against wall time: what each cell costs, and what it gains for it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from multirun_analysis.cell.cells import cells
from multirun_analysis.cell.naming import in_math, telling_keys
from multirun_analysis.figures.style import COLOURS, COLUMN, TEXT, plain_logarithmic, styled
from multirun_analysis.labels.values import title
from taunode.errors import BadInput

MARKERS = "os^Dvp*h"
TIME = "seconds"


def times(runs: pd.DataFrame, value: str) -> pd.DataFrame:
    """One row a cell of which a seed finished: its value, `seconds`, `seconds_sd`, and whatever `cells` says.

    Raises:
        BadInput: no run has both.
    """
    table = cells(runs, value)
    if TIME not in runs:
        raise BadInput(f"wall-time needs finished runs; none has {value} and {TIME}")
    spent = cells(runs, TIME).set_index("cell")
    keys = table.attrs["keys"]
    table[TIME] = table["cell"].map(spent["mean"])
    table[f"{TIME}_sd"] = table["cell"].map(spent["sd"])
    table = table[table["mean"].notna() & table[TIME].notna()]
    if table.empty:
        raise BadInput(f"wall-time needs finished runs; none has {value} and {TIME}")
    table.attrs["keys"] = keys
    return table


def draw(table: pd.DataFrame) -> Figure:
    """A point a cell, ± one sd both ways: colours for the first key that tells cells apart, marks for the others."""
    keys = telling_keys(table, table.attrs["keys"])
    first, rest = keys[:1], keys[1:]
    colours = {values: COLOURS[place % len(COLOURS)] for place, values in enumerate(_combinations(table, first))}
    marks = {values: MARKERS[place % len(MARKERS)] for place, values in enumerate(_combinations(table, rest))}
    with styled():
        figure = Figure(figsize=(TEXT if len(table) > 6 else COLUMN, 2.6), layout="constrained")
        axes = figure.subplots()
        for _, cell in table.iterrows():
            spread = {"xerr": np.nan_to_num(cell[f"{TIME}_sd"]), "yerr": np.nan_to_num(cell["sd"])}
            look: dict[str, Any] = {
                "color": colours[tuple(cell[first])],
                "marker": marks[tuple(cell[rest])],
            }
            axes.errorbar(cell[TIME], cell["mean"], **spread, **look, markersize=4, elinewidth=0.7, linestyle="")
        axes.set_xscale("log")
        plain_logarithmic(axes.xaxis)
        axes.set_xlabel("wall time of a run (s)")
        axes.set_ylabel(title(str(table["value"].iloc[0])))
        handles = [
            Line2D([], [], color=colour, marker="s", **_named(first, values)) for values, colour in colours.items()
        ]
        handles += [Line2D([], [], color="0.3", marker=mark, **_named(rest, values)) for values, mark in marks.items()]
        if keys:
            shown = [handle for handle in handles if handle.get_label()]
            figure.legend(handles=shown, loc="outside right upper")
    return figure


def _named(keys: list[str], values: tuple[Any, ...]) -> dict[str, Any]:
    label = in_math(dict(zip(keys, values, strict=True)), keys)
    return {"label": label, "linestyle": "", "markersize": 4}


def _combinations(table: pd.DataFrame, keys: list[str]) -> list[tuple[Any, ...]]:
    return list(dict.fromkeys(tuple(row) for row in table[keys].itertuples(index=False))) if keys else [()]
