"""Error against wall time: what each cell costs, and what it gains for it."""

from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.cell.cells import cells
from multirun_analysis.figures import panels
from multirun_analysis.figures.picture import Picture, Request
from multirun_analysis.figures.style import styled
from multirun_analysis.labels.quantity import words
from multirun_analysis.labels.values import title
from multirun_analysis.tables.columns import long
from multirun_analysis.tables.entry import note
from taunode.errors import BadInput

TIME = "seconds"


def draw(request: Request) -> Picture:
    """A point a cell, ± one sd both ways: colours for the key with most values, marks for the others."""
    table = times(request)
    arranged = panels.arrange(table, [], request.lines, request.panels, most=np.inf)
    looks = panels.looks(table, arranged.lines)
    with styled():
        figure, axes = panels.subplots(len(list(panels.groups(table, arranged.panels))), request.narrow, 2.1)
        for one, (_, part) in zip(axes, panels.groups(table, arranged.panels), strict=True):
            panels.titled(one, panels.values_of(part, arranged.panels))
            for place, points in panels.groups(part, arranged.lines):
                look = looks[place]
                style: dict[str, Any] = {"color": look.color, "marker": look.marker, "markersize": 4, "elinewidth": 0.7}
                # A bar ends at the axis: neither a time nor an error is negative.
                spread: dict[str, Any] = {
                    name: [points[[sd, mean]].fillna(0).min(axis=1), points[sd].fillna(0)]
                    for name, mean, sd in (("xerr", TIME, f"{TIME}_sd"), ("yerr", "mean", "sd"))
                }
                spread["xerr"][0] = spread["xerr"][0].clip(upper=0.9 * points[TIME])
                one.errorbar(points[TIME], points["mean"], **spread, **style, linestyle="")
            panels.scale_along(one, table[TIME], ticks=False)
            one.set_xlabel("wall time of a run (s)")
            if one is axes[0] or request.narrow:
                one.set_ylabel(title(request.value))
        panels.same_along(axes)
        high = (table["mean"] + table["sd"].fillna(0)).max()
        panels.scale_up(axes[0], table["mean"].min(), high, "error" in words(request.value))
        panels.legend(figure, panels.handles(looks, arranged.lines, line=False))
    return Picture(figure, long(table).join(table[[TIME, f"{TIME}_sd"]]), note(request.sweep, request.value))


def times(request: Request) -> pd.DataFrame:
    """One row a cell of which a seed finished: its value, `seconds`, `seconds_sd`, and whatever `cells` says.

    Raises:
        BadInput: no run has both.
    """
    table, runs = request.checked().cells, request.sweep.runs
    if TIME not in runs:
        raise BadInput(f"wall-time needs finished runs; none has {request.value} and {TIME}")
    spent = cells(runs, TIME).set_index("cell")
    keys = table.attrs["keys"]
    table = table.assign(**{TIME: table["cell"].map(spent["mean"]), f"{TIME}_sd": table["cell"].map(spent["sd"])})
    table = table[table["mean"].notna() & table[TIME].notna()]
    if table.empty:
        raise BadInput(f"wall-time needs finished runs; none has {request.value} and {TIME}")
    table.attrs["keys"] = keys
    return table
