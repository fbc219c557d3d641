"""Heat map: the mean of each depth and τ as a colour and a number, a panel a norm; nothing is left white unsaid."""

from typing import Any

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from multirun_analysis.cell.grid import NONE, Grid, remarks
from multirun_analysis.figures.style import COLUMN, SIZE, TEXT, styled
from multirun_analysis.labels.tau import tau_math
from multirun_analysis.labels.values import number, title

MAP = "cividis_r"  # Nuñez, Anderton, Renslow (2018): the same with every kind of colour vision, and in grey
DARK = 0.55  # of the map: from here on letters are white


def draw(grid: Grid) -> Figure:
    """Dark is a large value. A cell of which no seed finished is hatched and says why."""
    means = grid.cells["mean"].dropna()
    scale = Normalize(means.min(), means.max()) if len(means) else Normalize(0, 1)
    with styled():
        wide = len(grid.norms) > 1 or len(grid.taus) > 5
        height = 1.2 + 0.28 * len(grid.depths)
        figure = Figure(figsize=(TEXT if wide else COLUMN, height), layout="constrained")
        panels = figure.subplots(1, len(grid.norms), sharey=True, squeeze=False)[0]
        for norm, axes in zip(grid.norms, panels, strict=True):
            for y, depth in enumerate(grid.depths):
                for x, tau in enumerate(grid.taus):
                    _cell(axes, (x, y), grid.at(depth, norm, tau), scale)
            axes.set_xlim(-0.5, len(grid.taus) - 0.5)
            axes.set_ylim(-0.5, len(grid.depths) - 0.5)
            axes.set_xticks(range(len(grid.taus)), [tau_math(tau) for tau in grid.taus])
            axes.set_yticks(range(len(grid.depths)), grid.depths)
            axes.grid(visible=False)
            axes.set_xlabel("τ")
            if len(grid.norms) > 1:
                axes.set_title(f"norm: {norm}")
        panels[0].set_ylabel("depth")
        figure.suptitle(title(str(grid.cells["value"].iloc[0])), fontsize=SIZE)
    return figure


def _cell(axes: Axes, at: tuple[int, int], cell: "pd.Series[Any] | None", scale: Normalize) -> None:
    x, y = at
    face: Any = "w"
    ink, hatch, text = "0.4", "", NONE
    if cell is not None:
        text = "\n".join(remarks(cell))
        if cell["n"]:
            share = float(scale(cell["mean"])) if scale.vmax != scale.vmin else 0.0
            face, ink = colormaps[MAP](share), "w" if share > DARK else "k"
            text = "\n".join([number(cell["mean"], cell["value"]), *filter(None, [text])])
        else:
            hatch = "//////"
    axes.add_patch(
        Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, edgecolor="w" if not hatch else "0.8", hatch=hatch)
    )
    size = SIZE - 1 if text.count("\n") == 0 and len(text) < 8 else SIZE - 2.5
    box = {"facecolor": "w", "edgecolor": "none", "pad": 0.8} if hatch else None
    axes.text(x, y, text, ha="center", va="center", size=size, color=ink, bbox=box)
