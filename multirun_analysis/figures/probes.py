"""Probes: depth index × time as colours: the size of what each block gives, adds, gets back and changes, step by step.

A panel a cell, all in one scale, of one quantity (`--value gradient`); of a single cell a panel a quantity, each in its
own. Dark is large; a scale is logarithmic. What is not finite, or zero, stays white.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from multirun_analysis.cell.cells import keys_of, number_of, values
from multirun_analysis.cell.naming import in_math, telling_keys
from multirun_analysis.figures import panels
from multirun_analysis.figures.heat_map import MAP
from multirun_analysis.figures.picture import Picture, Request
from multirun_analysis.figures.style import plain_logarithmic, styled
from multirun_analysis.read.probes import ENDS, QUANTITIES, read_probes
from taunode.errors import BadInput, nearest

FLAT = 1.01  # colours span at least such a factor


def draw(request: Request) -> Picture:
    """
    Raises:
        BadInput: no run has probes; or `value` is no quantity.
    """
    table, note = averaged(request)
    cells = first_runs(request).loc[lambda found: found.index.isin(table["cell"])]
    names = telling_keys(cells, keys_of(request.sweep.runs))
    asked = quantity(request)
    single = len(cells) == 1 and asked is None
    quantities = [name for name in QUANTITIES if table[name].notna().any()] if single else [asked or "features"]
    inner = table[~table["part"].isin(ENDS)]
    ordered = [cell for _, part in panels.groups(cells, names) for cell in part.index]
    shown = [(cell, name) for cell in ordered for name in quantities]
    with styled():
        figure, axes = panels.subplots(len(shown), request.narrow, shared=False)
        scales = {name: _scale(inner[name]) for name in quantities}
        for one, (cell, name) in zip(axes, shown, strict=True):
            _map(one, inner[inner["cell"] == cell], name, scales[name])
            one.set_title(QUANTITIES[name] if single else in_math(cells.loc[cell].to_dict(), names))
            one.set_xlabel("step")
            one.set_ylabel("block")
            if single:
                _bar(figure, [one], scales[name], "")
        if not single:
            _bar(figure, axes, scales[quantities[0]], QUANTITIES[quantities[0]])
    said = f"{request.sweep.path}: probes, means over seeds; {', '.join(quantities)} of each block after so many steps"
    return Picture(figure, table.join(cells[names], on="cell"), "; ".join([said, *note]))


def quantity(request: Request) -> str | None:
    """The quantity that was asked for, if one was: any other value of the sweep's is none.

    Raises:
        BadInput: it is neither.
    """
    if request.value in QUANTITIES:
        return request.value
    if request.value not in values(request.sweep.runs):
        raise BadInput(f"{request.value!r} is no quantity of probes; nearest: {nearest(request.value, QUANTITIES)}")
    return None


def averaged(request: Request) -> tuple[pd.DataFrame, list[str]]:
    """Means over the seeds of each cell: `cell`, `part`, `block`, `step` and the quantities; and what was left out.

    Raises:
        BadInput: no run has probes.
    """
    found, broken = read_probes(request.sweep)
    said = [f"{name} is left out: {reason}" for name, reason in broken]
    if found.empty:
        raise BadInput("; ".join(["no run has probes: they are written with runtime.probes=50, every 50 steps", *said]))
    runs = request.sweep.runs
    cell = found["run"].map(dict(zip(runs["run"], number_of(runs), strict=True)))
    finite = found.assign(cell=cell).replace([np.inf, -np.inf], np.nan)
    by = ["cell", "part", "block", "step"]
    means = finite.groupby(by, sort=False)[[*QUANTITIES]].mean().reset_index()
    return means.sort_values(["cell", "step", "block"], ignore_index=True), said


def first_runs(request: Request) -> pd.DataFrame:
    """The first run of each cell, by the cell's number."""
    runs = request.sweep.runs
    cells = runs.set_axis(number_of(runs), axis=0)
    return cells[~cells.index.duplicated()]


def _scale(numbers: "pd.Series[float]") -> LogNorm:
    seen = numbers[numbers > 0]
    low, high = (seen.min(), seen.max()) if len(seen) else (1.0, 1.0)
    middle = float(np.sqrt(low * high))
    return LogNorm(min(low, middle / FLAT), max(high, middle * FLAT))


def _map(axes: Axes, rows: pd.DataFrame, name: str, scale: LogNorm) -> None:
    grid = rows.pivot(index="block", columns="step", values=name)
    steps, blocks = grid.columns.to_numpy(np.float64), grid.index.to_numpy(np.float64)
    axes.pcolormesh(
        _edges(steps), _edges(blocks), np.ma.masked_invalid(grid.where(grid > 0)), cmap=MAP, norm=scale, rasterized=True
    )
    axes.grid(visible=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))


def _edges(middles: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """The borders between numbers that rise, the outer ones as far as the inner."""
    half = np.diff(middles) / 2 if len(middles) > 1 else np.array([0.5])
    return np.concatenate([middles[:1] - half[:1], middles[:-1] + half[: len(middles) - 1], middles[-1:] + half[-1:]])


def _bar(figure: Figure, axes: list[Axes], scale: LogNorm, label: str) -> None:
    bar = figure.colorbar(ScalarMappable(scale, MAP), ax=axes, label=label, aspect=30, pad=0.02)
    assert scale.vmin is not None
    assert scale.vmax is not None
    plain_logarithmic(bar.ax.yaxis, scale.vmax / scale.vmin)
    bar.outline.set_visible(False)
