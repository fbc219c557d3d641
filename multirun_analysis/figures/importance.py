"""Importance: which key explains the variance between the cells; `multirun_analysis.stats.importance` says how."""

import numpy as np
import pandas as pd

from multirun_analysis.cell.naming import telling_keys
from multirun_analysis.figures.picture import Picture, Request
from multirun_analysis.figures.style import COLOURS, COLUMN, styled
from multirun_analysis.labels.values import short, title
from multirun_analysis.stats.importance import importance
from multirun_analysis.tables.entry import note
from taunode.errors import BadInput

REST = "interactions and seeds"


def draw(request: Request) -> Picture:
    """A bar a key.

    Raises:
        BadInput: fewer than two keys vary, or too few cells have a value.
    """
    from matplotlib.figure import Figure

    cells = request.cells[request.cells["n"] > 0]
    keys = telling_keys(cells, request.cells.attrs["keys"])
    found = importance(cells["mean"].to_numpy(), {key: cells[key] for key in keys}) if len(keys) > 1 else None
    if found is None:
        raise BadInput("importance needs three cells with a value, that differ in two keys at least")
    order = sorted(keys, key=lambda key: found.beside[key])
    rows = [*((short(key), found.alone[key], found.beside[key]) for key in order)]
    table = pd.DataFrame([*reversed(rows), (REST, np.nan, found.rest)], columns=["key", "alone", "beside the others"])
    with styled():
        figure = Figure(figsize=(COLUMN, 0.7 + 0.2 * (len(rows) + 1)), layout="constrained")
        axes = figure.subplots()
        names = [REST, *(name for name, *_ in rows)]
        places = range(1, len(rows) + 1)
        axes.barh(places, [100 * alone for _, alone, _ in rows], 0.7, color=COLOURS[0], alpha=0.3, label="alone")
        axes.barh(places, [100 * beside for *_, beside in rows], 0.36, color=COLOURS[0], label="beside the others")
        axes.barh([0], [100 * found.rest], 0.36, color="0.6")
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of the variance between cells (%)")
        axes.set_title(title(request.value))
        axes.grid(visible=True, axis="x")
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside upper center", ncols=2)
    left = len(request.cells) - len(cells)
    said = f"{note(request.sweep, request.value)}; each key as a factor, additive least squares over {len(cells)} cells"
    return Picture(figure, table, said + (f"; {left} cells without a value are left out" if left else ""))
