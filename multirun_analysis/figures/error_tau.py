"""Error against τ, a line a depth, a panel a norm: how much τ each depth bears."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from multirun_analysis.cell.grid import Grid
from multirun_analysis.figures.style import COLOURS, COLUMN, TEXT, plain_logarithmic, styled
from multirun_analysis.labels.values import title
from taunode.errors import BadInput

TOP = 1.06  # of the highest mean: where the crosses of what diverged stand
MARKERS = "os^Dvp*h"


def draw(grid: Grid, tau_values: dict[int, float]) -> Figure:
    """A point is the mean over seeds with ± one sd; a cross at the top is a cell of which no seed finished.

    Args:
        tau_values: the number τ of each cell (by its column `cell`).

    Raises:
        BadInput: the runs have no value of τ.
    """
    if not tau_values:
        raise BadInput("error-tau needs runs with a τ; these have no tau_value")
    cells = grid.cells
    top = TOP * max(cells["mean"].max(), 1e-12) if cells["mean"].notna().any() else 100.0
    with styled():
        figure = Figure(figsize=(COLUMN if len(grid.norms) == 1 else TEXT, 2.5), layout="constrained")
        panels = figure.subplots(1, len(grid.norms), sharey=True, squeeze=False)[0]
        for norm, axes in zip(grid.norms, panels, strict=True):
            for place, depth in enumerate(grid.depths):
                _line(axes, grid, (depth, norm), tau_values, place, top)
            axes.set_xscale("log")
            plain_logarithmic(axes.xaxis)
            axes.set_xlabel("τ")
            axes.set_ylim(0, top * (1 + 0.05 * len(grid.depths)))
            if len(grid.norms) > 1:
                axes.set_title(f"norm: {norm}")
        panels[0].set_ylabel(title(str(cells["value"].iloc[0])))
        handles = panels[0].get_legend_handles_labels()[0]
        if ((cells["diverged"] > 0) & (cells["n"] == 0)).any():
            handles.append(Line2D([], [], color="0.3", linestyle="", marker="x", markersize=4, label="all diverged"))
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 6))
    return figure


def _line(axes: Axes, grid: Grid, at: tuple[str, str], tau_values: dict[int, float], place: int, top: float) -> None:
    depth, norm = at
    cells = [
        cell for tau in grid.taus if (cell := grid.at(depth, norm, tau)) is not None and cell["cell"] in tau_values
    ]
    points = sorted((tau_values[cell["cell"]], cell["mean"], cell["sd"]) for cell in cells if cell["n"])
    colour = COLOURS[place % len(COLOURS)]
    x, mean, sd = zip(*points, strict=True) if points else ((), (), ())
    look: dict[str, Any] = {
        "marker": MARKERS[place % len(MARKERS)],
        "markersize": 3,
        "linewidth": 1.0,
        "elinewidth": 0.7,
        "capsize": 1.5,
    }
    axes.errorbar(
        x, mean, [0.0 if width != width else width for width in sd], color=colour, label=f"depth {depth}", **look
    )
    gone = [tau_values[cell["cell"]] for cell in cells if not cell["n"] and cell["diverged"]]
    if gone:
        heights = [top * (1 + 0.05 * place)] * len(gone)  # several depths diverge at one τ
        axes.plot(gone, heights, color=colour, marker="x", linestyle="", markersize=4)
