"""Heat map: the mean of each cell as a colour and a number, depth × τ or any two keys; nothing is left white unsaid."""

from typing import Any

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from multirun_analysis.cell.grid import Grid, grid, remarks
from multirun_analysis.cell.layout import axis_of
from multirun_analysis.cell.naming import telling_keys
from multirun_analysis.figures import panels
from multirun_analysis.figures.picture import Picture, Request
from multirun_analysis.figures.style import SIZE, styled
from multirun_analysis.labels.tau import tau_math
from multirun_analysis.labels.values import NONE, number, short, title
from multirun_analysis.tables.columns import long
from multirun_analysis.tables.entry import note
from taunode.errors import BadInput

MAP = "cividis_r"  # Nuñez, Anderton, Renslow (2018): the same with every kind of colour vision, and in grey
DARK = 0.55  # of the map: from here on letters are white
LIGHT_INK, DARK_INK = "#fffffe", "#000001"  # no greys, which a dark page would turn round


def draw(request: Request) -> Picture:
    """Dark is a large value. A cell of which no seed finished is hatched and says why.

    Raises:
        BadInput: the cells do not differ in two keys.
    """
    cells = request.checked().cells
    up, across, rest = _keys(cells, request)
    found = grid(cells, across, rest, up)
    means = cells["mean"].dropna()
    scale = Normalize(means.min(), means.max()) if len(means) else Normalize(0, 1)
    with styled():
        figure, axes = panels.subplots(len(found.panels), request.narrow, 0.7 + 0.28 * len(found.lines))
        for one, panel in zip(axes, found.panels, strict=True):
            for y, line in enumerate(found.lines):
                for x, place in enumerate(found.along):
                    _cell(
                        one,
                        (x, y),
                        found.at(place, panel, line),
                        scale,
                        len(found.along) * (1 if request.narrow else len(axes)),
                    )
            _frame(one, found, up, across)
            if len(found.panels) > 1:
                one.set_title(", ".join(f"{short(key)} {text}" for key, text in zip(rest, panel, strict=True)))
            if one is axes[0] or request.narrow:
                one.set_ylabel(", ".join(map(short, up)))
        figure.suptitle(title(request.value), fontsize=SIZE)
    return Picture(figure, long(cells), note(request.sweep, request.value))


def _keys(cells: pd.DataFrame, request: Request) -> tuple[list[str], list[str], list[str]]:
    """The keys of the rows, of the columns, and of the panels."""
    telling = telling_keys(cells, cells.attrs["keys"])
    if len(telling) < 2 and not request.lines:
        raise BadInput("heat-map needs cells that differ in two keys")
    plain = [key for key in ("arch.depth", "tau") if key in cells]
    up = request.along or axis_of(cells, telling) or next(iter([*telling, *plain]), cells.attrs["keys"][0])
    rest = telling_keys(cells, cells.attrs["keys"], [up])
    if request.lines:
        across = list(request.lines)
    else:
        choices = rest or [key for key in reversed(plain) if key != up]
        across = ["tau"] if "tau" in choices else sorted(choices, key=lambda key: -cells[key].nunique(dropna=False))[:1]
    left = telling_keys(cells, cells.attrs["keys"], [up, *across, *(request.panels or ())])
    return [up], across, [*(request.panels or ()), *left]


def _frame(axes: Axes, found: Grid, up: list[str], across: list[str]) -> None:
    columns = [
        "\n".join(
            tau_math(text).replace(" ", "\n", 1) if key == "tau" else text
            for key, text in zip(across, place, strict=True)
        )
        for place in found.along
    ]
    longest = max((len(line) for label in columns for line in label.replace("$", "").split("\n")), default=0)
    turned = 45 if longest * len(columns) > 64 else 0
    axes.set_xlim(-0.5, len(found.along) - 0.5)
    axes.set_ylim(-0.5, len(found.lines) - 0.5)
    axes.set_xticks(range(len(columns)), columns, rotation=turned, ha="right" if turned else "center")
    axes.set_yticks(range(len(found.lines)), [tau_math(line[0]) if up == ["tau"] else line[0] for line in found.lines])
    axes.grid(visible=False)
    axes.set_xlabel(", ".join(map(short, across)))


def _cell(axes: Axes, at: tuple[int, int], cell: "pd.Series[Any] | None", scale: Normalize, columns: int) -> None:
    x, y = at
    face: Any = "w"
    ink, hatch, text = "0.4", "", NONE
    if cell is not None:
        said = remarks(cell)
        text = "\n".join(said)
        if cell["n"]:
            share = float(scale(cell["mean"])) if scale.vmax != scale.vmin else 0.0
            face, ink = colormaps[MAP](share), LIGHT_INK if share > DARK else DARK_INK
            text = "\n".join([number(cell["mean"], cell["value"]), *filter(None, [text])])
        else:
            hatch = "//////"
    axes.add_patch(
        Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, edgecolor="w" if not hatch else "0.8", hatch=hatch)
    )
    longest = max(map(len, text.split("\n")), default=1)
    room = 72 * 6.0 / max(columns, 1)  # points a column
    size = min(SIZE - 1 if "\n" not in text else SIZE - 2.5, max(3.0, room / (0.6 * max(longest, 1))))
    box = {"facecolor": "w", "edgecolor": "none", "pad": 0.8} if hatch else None
    axes.text(x, y, text, ha="center", va="center", size=size, color=ink, bbox=box)
