"""Coordinate check: the size of features, or of their change by a step, against width or depth, a line a step.

In µP and Depth-µP the lines are flat (`multirun_analysis.stats.coordinate_check`, which gives their slopes). Panels:
the last block and the head, of whatever else tells the cells apart.
"""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from multirun_analysis.cell.cells import keys_of
from multirun_analysis.cell.naming import in_math, telling_keys
from multirun_analysis.figures import panels
from multirun_analysis.figures.picture import Picture, Request
from multirun_analysis.figures.probes import averaged, first_runs, quantity
from multirun_analysis.figures.style import styled
from multirun_analysis.labels.values import short
from multirun_analysis.read.probes import QUANTITIES
from multirun_analysis.stats.coordinate_check import coordinate_check
from taunode.errors import BadInput

SIZES = ("arch.width", "blocks")  # the first that varies
FOLLOW = {"blocks": ("arch.depth", "arch.layers", "arch.blocks")}  # from the size
LINES = 5  # steps


def draw(request: Request) -> Picture:
    """
    Raises:
        BadInput: no run has probes; nothing says how large the networks are, or no two of them differ in that alone.
    """
    table, left_out = averaged(request)
    asked = quantity(request) or "feature_change"
    runs = first_runs(request).loc[lambda found: found.index.isin(table["cell"])]
    key = request.along or next((name for name in SIZES if name in runs and runs[name].nunique() > 1), None)
    if key is None or key not in runs or not pd.api.types.is_numeric_dtype(runs[key]):
        raise BadInput("coordinate-check needs probes of networks of several arch.width or blocks; choose with --along")
    size = pd.to_numeric(runs[key]).astype(float)
    others = telling_keys(
        runs, keys_of(request.sweep.runs), [key, *(name for name in FOLLOW.get(key, ()) if name in runs)]
    )
    ends = _ends(table.assign(size=table["cell"].map(size)))
    groups = [(place, part.index) for place, part in panels.groups(runs, others) if size[part.index].nunique() > 1]
    if not groups:
        raise BadInput(f"coordinate-check needs networks that differ in {key} alone")
    steps = np.unique(ends["step"])
    steps = steps[np.linspace(0, len(steps) - 1, min(LINES, len(steps))).round().astype(int)]
    shades = dict(zip(steps, panels.colours(max(len(steps), panels.SHADES), True), strict=False))
    said = [f"{request.sweep.path}: {QUANTITIES[asked]} against {short(key)}, means over seeds"]
    with styled():
        figure, axes = panels.subplots(2 * len(groups), request.narrow)
        for place, (one, part) in enumerate((one, part) for one in groups for part in ("block", "head")):
            cells, panel = one[1], axes[place]
            rows = ends[ends["cell"].isin(cells) & (ends["part"] == part)]
            for step in steps:
                line = rows[rows["step"] == step].groupby("size")[asked].mean()
                panel.plot(line.index, line, color=shades[step], marker="o", markersize=3, linewidth=1.0)
            values = {name: runs.loc[cells[0], name] for name in others}
            panel.set_title(", ".join(filter(None, [in_math(values, others), {"block": "last block"}.get(part, part)])))
            panels.scale_along(panel, size)
            panel.set_xlabel({"blocks": "blocks L"}.get(key, short(key)))
            if place == 0 or request.narrow:
                panel.set_ylabel(QUANTITIES[asked])
            by_size = {one: rows[rows["size"] == one] for one in sorted(set(rows["size"]))}
            slope = coordinate_check(by_size, [asked])["slope"]
            said.append(
                f"{panel.get_title()}: slope {slope.mean():.2f} (steps: {slope.min():.2f} to {slope.max():.2f})"
            )
        seen = ends.loc[ends["part"].isin(("block", "head")) & (ends[asked] > 0), asked]
        panels.scale_up(axes[0], seen.min(), seen.max(), percent=False)
        panels.legend(
            figure,
            [Line2D([], [], color=shades[step], marker="o", markersize=3, label=f"step {step}") for step in steps],
        )
    return Picture(figure, ends.join(runs[others], on="cell"), "; ".join([*said, *left_out]))


def _ends(table: pd.DataFrame) -> pd.DataFrame:
    """The last block of each cell, and the head: what networks of any depth have."""
    inner = table[~table["part"].isin(("stem", "head"))]
    last = inner[inner["block"] == inner.groupby("cell")["block"].transform("max")].assign(part="block")
    return pd.concat([last, table[table["part"] == "head"]], ignore_index=True)
