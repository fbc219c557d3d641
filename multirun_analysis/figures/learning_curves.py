"""Curves: a metric against the epoch, a line a cell with the band of its seeds, and the published number at the end.

A run that diverges ends with a cross; from there on the line is the mean of those that go on. One that diverges before
its first epoch is over is a cross above the axes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from multirun_analysis.cell.at_epoch import metric_of
from multirun_analysis.cell.cells import keys_of, number_of
from multirun_analysis.cell.naming import telling_keys
from multirun_analysis.figures import panels
from multirun_analysis.figures.picture import Picture, Request, names
from multirun_analysis.figures.style import styled
from multirun_analysis.labels.quantity import bounds
from multirun_analysis.labels.values import title
from multirun_analysis.papers.protocol import protocol
from multirun_analysis.papers.published import Number, Role
from multirun_analysis.read.sweep import Sweep
from taunode.errors import BadInput, nearest
from taunode.runs.state import State

BANDS = 6  # lines in a panel, up to which their bands can be told apart


def curves(sweep: Sweep, metric: str) -> pd.DataFrame:
    """Mean and sd over the seeds of each cell: one row a cell and epoch.

    Returns:
        The keys that tell cells apart, `epoch`, `n`, `mean`, `sd`; the index is the cell's number.
        `attrs["keys"]` lists the keys.

    Raises:
        BadInput: the runs have no such metric, or no epoch yet.
    """
    epochs = sweep.epochs
    valid = [name for name in epochs.columns if name not in ("run", "epoch", "lr")]
    if metric not in valid:
        hint = nearest(metric, valid) if len(epochs) else "none, because no run has an epoch yet"
        raise BadInput(f"{metric!r} is not in metrics.csv; nearest: {hint}")
    number = number_of(sweep.runs)
    codes = dict(zip(sweep.runs["run"], number, strict=True))
    cell = pd.Series(epochs["run"].cat.categories.map(codes).to_numpy()[epochs["run"].cat.codes], name="cell")
    values = epochs[metric].where(np.isfinite(epochs[metric]))
    grouped = values.groupby([cell, epochs["epoch"]])
    stats = pd.DataFrame({"n": grouped.count(), "mean": grouped.mean(), "sd": grouped.std()}).reset_index("epoch")
    cells = _cells(sweep)
    keys = telling_keys(cells, keys_of(sweep.runs))
    table = cells[keys].join(stats[stats["n"] > 0], how="inner")
    table.attrs["keys"] = keys
    return table


def _cells(sweep: Sweep) -> pd.DataFrame:
    """The first run of each cell."""
    cells = sweep.runs.set_axis(number_of(sweep.runs), axis=0)
    cells = cells[~cells.index.duplicated()]
    cells.attrs["keys"] = keys_of(sweep.runs)
    return cells


def draw(request: Request) -> Picture:
    """The figure, and the table of what it shows."""
    sweep, metric = request.sweep, metric_of(request.value)
    table = curves(sweep, metric)
    cells = _cells(sweep)
    gone = _gone(sweep, metric)
    cells = cells[cells.index.isin([*table.index, *gone["cell"]])]
    cells.attrs["keys"] = keys_of(sweep.runs)
    arranged = panels.arrange(cells, [], request.lines, request.panels)
    looks = panels.looks(cells, arranged.lines)
    marks = [(number, cell) for number, cell in request.published if number.value == f"final_{metric}"]
    found = list(panels.groups(cells, arranged.panels))
    with styled():
        figure, axes = panels.subplots(len(found), request.narrow)
        for one, (_, of_panel) in zip(axes, found, strict=True):
            panels.titled(one, panels.values_of(of_panel, arranged.panels))
            strip = []
            lines = list(panels.groups(of_panel, arranged.lines))
            for place, of_line in lines:
                look = looks[place]
                for cell in of_line.index:
                    _line(one, table.loc[table.index == cell], look, metric, band=len(lines) <= BANDS)
                    strip += _crosses(one, gone[gone["cell"] == cell], look)
                    _marks(one, [number for number, of in marks if of == cell], look)
            panels.strip(one, strip)
            one.set_xlabel("epoch")
            one.xaxis.set_major_locator(MaxNLocator(integer=True))
            if one is axes[0] or request.narrow:
                one.set_ylabel(title(metric))
        panels.align(axes)
        panels.same_along(axes)
        low, high = table["mean"][table["mean"] > 0].min(), table["mean"].max()
        panels.scale_up(axes[0], low, high, percent=False)
        panels.legend(
            figure, [*panels.handles(looks, arranged.lines, marker=False), *_more(bool(marks), len(gone) > 0)]
        )
    bands = f"bands ± sd over seeds, with up to {BANDS} lines"
    said = f"{sweep.path}: {metric}; lines are means, {bands}; panels: {names(arranged.panels)}"
    return Picture(figure, table, said)


def _gone(sweep: Sweep, metric: str) -> pd.DataFrame:
    """The runs that diverged: their cell, and the last epoch that has a value (NaN if none has) with it."""
    runs = sweep.runs.assign(cell=number_of(sweep.runs))
    gone = runs.loc[runs["state"] == State.DIVERGED, ["run", "cell"]]
    epochs = sweep.epochs
    whole = epochs[epochs["run"].isin(gone["run"]) & np.isfinite(epochs[metric])]
    last = whole.groupby("run", observed=True)[["epoch", metric]].last()
    return gone.join(last.rename(columns={metric: "value"}), on="run")


def _line(axes: Axes, curve: pd.DataFrame, look: panels.Look, metric: str, band: bool) -> None:
    axes.plot(curve["epoch"], curve["mean"], linewidth=1.0, color=look.color, linestyle=look.linestyle)
    if not band:
        return
    least, most = bounds(metric, curve["mean"].min(), curve["mean"].max())
    low = (curve["mean"] - curve["sd"]).clip(lower=np.maximum(curve["mean"] / 10, least))
    high = (curve["mean"] + curve["sd"]).clip(upper=most)
    axes.fill_between(curve["epoch"], low, high, color=look.color, alpha=0.15, linewidth=0)


def _crosses(axes: Axes, gone: pd.DataFrame, look: panels.Look) -> list[tuple[float, str, str]]:
    """A cross at the last whole epoch of each run that diverged; gives those that have none."""
    seen = gone.dropna(subset="epoch")
    if len(seen):
        axes.plot(seen["epoch"], seen["value"], color=look.color, linestyle="", marker="x", markersize=4)
    return [(1.0, look.color, "")] * (len(gone) > len(seen))


def _marks(axes: Axes, numbers: Sequence[Number], look: panels.Look) -> None:
    """Right of the last epoch, where it hides neither the line nor another mark."""
    for order, number in enumerate(numbers, 1):
        if number.role is not Role.PUBLISHED:
            continue
        at_epoch = protocol(number)["schedule.epochs"] * (1 + 0.02 * order)
        spread = None if np.isnan(number.sd) else number.sd
        kind: Mapping[str, Any] = {
            "marker": "D",
            "markersize": 3,
            "markerfacecolor": "w",
            "elinewidth": 0.8,
            "capsize": 1.5,
        }
        axes.errorbar(at_epoch, number.mean, spread, color=look.color, **kind)


def _more(published: bool, diverged: bool) -> list[Artist]:
    mark: dict[str, Any] = {"color": "0.3", "linestyle": ""}
    found: list[Artist] = []
    if published:
        found.append(
            Line2D([], [], marker="D", markersize=3.5, markerfacecolor="w", label="published, last epoch", **mark)
        )
    if diverged:
        found.append(Line2D([], [], marker="x", markersize=4, label="diverged", **mark))
    return found
