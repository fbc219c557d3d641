"""Parallel coordinates: an axis a key and one for the value, a line a cell, coloured by its value."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from multirun_analysis.cell.layout import codes_of
from multirun_analysis.cell.naming import telling_keys
from multirun_analysis.figures.picture import Picture, Request
from multirun_analysis.figures.style import COLUMN, SIZE, TEXT, styled
from multirun_analysis.labels.quantity import rises
from multirun_analysis.labels.tau import tau_math
from multirun_analysis.labels.values import number, short, title
from multirun_analysis.tables.columns import long
from multirun_analysis.tables.entry import note
from taunode.errors import BadInput

MAP, FROM, TO = "viridis", 0.35, 0.9  # the part that is seen on white and on black
TICKS = 10  # an axis
SPREAD = 0.012  # between lines that would lie on each other, of an axis' height
DIVERGED = 1.09  # where what has no value ends


def draw(request: Request) -> Picture:
    """Good values are drawn last, over the others; a cell that diverged is dotted and ends above the last axis.

    Raises:
        BadInput: the cells differ in nothing.
    """
    cells = request.cells
    keys = list(request.lines or telling_keys(cells, cells.attrs["keys"]))
    if not keys:
        raise BadInput("parallel needs cells that differ in a key")
    shown = cells[(cells["n"] > 0) | (cells["diverged"] > 0)]
    if shown.empty:
        raise BadInput("parallel needs finished runs")
    with styled():
        width = COLUMN if request.narrow or len(keys) < 3 else TEXT
        figure = Figure(figsize=(width, 2.6), layout="constrained")
        axes = figure.subplots()
        places = [_axis(axes, at, shown, key) for at, key in enumerate(keys)]
        scale, last = _value_axis(axes, len(keys), shown, request.value)
        heights = np.column_stack([*places, last])
        worth = shown["mean"].fillna(np.inf) * (-1 if rises(request.value) else 1)
        for order, row in enumerate(np.argsort(-worth.to_numpy(), kind="stable")):
            gone = not shown["n"].iloc[row]
            colour: Any = "0.6" if gone else colormaps[MAP](FROM + (TO - FROM) * float(scale(shown["mean"].iloc[row])))
            jitter = SPREAD * ((order % 5) - 2)
            line = heights[row] + np.array([jitter] * len(keys) + [0.0])
            axes.plot(
                range(len(keys) + 1), line, color=colour, linewidth=0.9, linestyle=":" if gone else "-", zorder=order
            )
        axes.set_xlim(-0.15, len(keys) + 0.25)
        axes.set_ylim(-0.06, 1.14)
        axes.set_xticks(range(len(keys) + 1), [*map(short, keys), title(request.value)])
        axes.set_yticks([])
        axes.grid(visible=False)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
    return Picture(figure, long(cells), note(request.sweep, request.value))


def _axis(axes: Axes, at: int, cells: pd.DataFrame, key: str) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Draws an axis with its values, evenly spaced in their order; gives the height of each cell."""
    codes, places = codes_of(cells, [key])
    heights = np.linspace(0, 1, len(places)) if len(places) > 1 else np.array([0.5])
    _line(axes, at)
    every = -(-len(places) // TICKS)
    for place, height in list(zip(places, heights, strict=True))[::every]:
        _tick(axes, at, height, tau_math(place[0]) if key == "tau" else place[0], left=at == 0)
    return np.asarray(heights[codes], dtype=np.float64)


def _value_axis(
    axes: Axes, at: int, cells: pd.DataFrame, value: str
) -> "tuple[Normalize, np.ndarray[Any, np.dtype[np.float64]]]":
    means = cells["mean"].dropna()
    low, high = (means.min(), means.max()) if len(means) else (0.0, 1.0)
    top = high if high > low else low + 1
    scale = Normalize(low, top)
    _line(axes, at)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0) if len(means) else ():
        _tick(axes, at, share, number(low + share * (top - low), value))
    if cells["mean"].isna().any():
        _tick(axes, at, DIVERGED, "diverged")
    return scale, np.where(cells["mean"].notna(), scale(cells["mean"].fillna(low)), DIVERGED)


def _line(axes: Axes, at: int) -> None:
    axes.plot([at, at], [0, 1], color="0.2", linewidth=0.8, zorder=10**6)


def _tick(axes: Axes, at: float, height: float, text: str, left: bool = False) -> None:
    box = {"facecolor": "w", "edgecolor": "none", "alpha": 0.8, "pad": 0.6}
    axes.text(
        at + (-0.03 if left else 0.03),
        height,
        text,
        ha="right" if left else "left",
        va="center",
        size=SIZE - 1,
        bbox=box,
        zorder=10**6 + 1,
    )
