"""Curves: a metric against the epoch, a line a cell with the band of its seeds, and the published number at the end.

A run that diverges ends with a cross; from there on the line is the mean of those that go on.
"""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from multirun_analysis.cell.cells import keys_of, number_of
from multirun_analysis.cell.naming import called, in_math, telling_keys
from multirun_analysis.figures.style import COLOURS, COLUMN, TEXT, plain_logarithmic, styled
from multirun_analysis.labels.values import title
from multirun_analysis.papers.ours import at
from multirun_analysis.papers.protocol import protocol
from multirun_analysis.papers.published import Number, Role
from multirun_analysis.read.sweep import Sweep
from taunode.errors import BadInput, nearest
from taunode.runs.state import State

PANELS = ("arch._target_", "arch.norm")  # a panel for each of their values
STYLES = ("-", "--", ":", "-.")
DECADE = 20  # a metric that falls by more than this gets a logarithmic axis


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
    runs = sweep.runs
    number = number_of(runs)
    cell = epochs["run"].map(dict(zip(runs["run"], number, strict=True))).astype("int64")
    values = epochs[metric].where(np.isfinite(epochs[metric]))
    stats = (
        values.groupby([cell.rename("cell"), epochs["epoch"]])
        .agg(n="count", mean="mean", sd="std")
        .reset_index("epoch")
    )
    cells = runs.set_axis(number, axis=0)
    cells = cells[~cells.index.duplicated()]
    keys = telling_keys(cells, keys_of(runs))
    table = cells[keys].join(stats[stats["n"] > 0], how="inner")
    table.attrs["keys"] = keys
    return table


def draw(sweep: Sweep, metric: str = "test_error", numbers: Iterable[Number] = ()) -> tuple[Figure, pd.DataFrame]:
    """The figure and the table of what it shows."""
    table = curves(sweep, metric)
    keys = list(table.attrs["keys"])
    cells = table[~table.index.duplicated()].sort_values(keys, kind="stable") if keys else table.iloc[:1]
    panel = next((key for key in PANELS if key in keys and cells[key].nunique() <= 3), None)
    names = [None] if panel is None else list(dict.fromkeys(cells[panel]))
    inner = [key for key in keys if key != panel]
    looks = _looks(cells, inner)
    marks = _marks(sweep, metric, numbers)
    with styled():
        figure = Figure(figsize=(COLUMN if len(names) == 1 else TEXT, 2.5), layout="constrained")
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for name, axes in zip(names, panels, strict=True):
            of_panel = cells if panel is None else cells[cells[panel] == name]
            for place, (cell, row) in enumerate(of_panel.iterrows(), 1):
                look = looks[tuple(row[key] for key in inner)]
                _line(axes, table.loc[[cell]], look)
                _crosses(axes, sweep, metric, cell, look["color"])
                for mark in marks.get(cell, ()):
                    _mark(axes, mark, look["color"], place)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if panel is not None:
                axes.set_title(called({panel: name}, [panel]))
        _scale(panels[0], table)
        panels[0].set_ylabel(title(metric))
        handles = _handles(looks, inner)
        if any(marks.values()):
            handles.append(
                Line2D(
                    [],
                    [],
                    color="0.3",
                    linestyle="",
                    marker="D",
                    markersize=3.5,
                    markerfacecolor="w",
                    label="published, last epoch",
                )
            )
        if (sweep.runs["state"] == State.DIVERGED).any():
            handles.append(Line2D([], [], color="0.3", linestyle="", marker="x", markersize=4, label="diverged"))
        if handles:
            figure.legend(
                handles=handles, loc="outside upper center", ncols=min(len(handles), 3 if len(names) == 1 else 5)
            )
    return figure, table


def _looks(cells: pd.DataFrame, keys: list[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Colour and style of each combination of keys: the first key's values are colours, the others' styles."""
    if not keys:
        return {(): {"color": COLOURS[0], "linestyle": "-"}}
    combinations = list(dict.fromkeys(map(tuple, cells[keys].itertuples(index=False))))
    first = list(dict.fromkeys(values[0] for values in combinations))
    rest = list(dict.fromkeys(values[1:] for values in combinations))
    styles = dict(zip(rest, itertools.cycle(STYLES), strict=False))
    return {
        values: {"color": COLOURS[first.index(values[0]) % len(COLOURS)], "linestyle": styles[values[1:]]}
        for values in combinations
    }


def _handles(looks: dict[tuple[Any, ...], dict[str, Any]], keys: list[str]) -> list[Line2D]:
    """The colours of the first key's values, then the styles of the others'; not the product of both."""
    first = {values[0]: look["color"] for values, look in looks.items() if keys}
    rest = {values[1:]: look["linestyle"] for values, look in looks.items() if len(keys) > 1}
    handles = [
        Line2D([], [], color=colour, label=in_math({keys[0]: value}, keys[:1])) for value, colour in first.items()
    ]
    for values, style in rest.items():
        label = in_math(dict(zip(keys[1:], values, strict=True)), keys[1:])
        handles.append(Line2D([], [], color="0.3", linestyle=style, label=label))
    return handles


def _line(axes: Axes, curve: pd.DataFrame, look: dict[str, Any]) -> None:
    axes.plot(curve["epoch"], curve["mean"], linewidth=1.0, **look)
    low, high = curve["mean"] - curve["sd"], curve["mean"] + curve["sd"]
    axes.fill_between(
        curve["epoch"], low.clip(lower=curve["mean"] / 10), high, color=look["color"], alpha=0.2, linewidth=0
    )


def _crosses(axes: Axes, sweep: Sweep, metric: str, cell: Any, colour: str) -> None:
    """A cross at the last whole epoch of each run that diverged."""
    runs = sweep.runs
    gone = runs["run"][(number_of(runs) == cell) & (runs["state"] == State.DIVERGED)]
    last = sweep.epochs[sweep.epochs["run"].isin(gone)].groupby("run", observed=True).last()
    if last.empty:
        return
    axes.plot(last["epoch"], last[metric], color=colour, linestyle="", marker="x", markersize=4)


def _marks(sweep: Sweep, metric: str, numbers: Iterable[Number]) -> dict[Any, list[Number]]:
    """The published numbers of each cell."""
    number = number_of(sweep.runs)
    marks: dict[Any, list[Number]] = {}
    for published in numbers:
        if published.role is Role.PUBLISHED and published.value == f"final_{metric}":
            for cell in number[at(sweep.runs, published.position).index].unique():
                marks.setdefault(cell, []).append(published)
    return marks


def _mark(axes: Axes, number: Number, colour: str, place: int) -> None:
    """Right of the last epoch, where it hides neither the line nor another mark."""
    at_epoch = protocol(number)["schedule.epochs"] * (1 + 0.02 * place)
    spread = None if np.isnan(number.sd) else number.sd
    look: dict[str, Any] = {"marker": "D", "markersize": 3, "markerfacecolor": "w", "elinewidth": 0.8, "capsize": 1.5}
    axes.errorbar(at_epoch, number.mean, spread, color=colour, **look)


def _scale(axes: Axes, table: pd.DataFrame) -> None:
    means = table["mean"][table["mean"] > 0]
    if len(means) and means.max() > DECADE * means.min():
        axes.set_yscale("log")
        plain_logarithmic(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
