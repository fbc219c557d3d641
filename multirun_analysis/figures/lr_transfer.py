"""Transfer of the learning rate: error against it, a line a depth (or width), the best rate of each marked with a star.

Where the stars stand one above the other, the rate that was tuned for the shallow network serves the deep one (G. Yang,
D. Yu, C. Zhu, S. Hayou, arXiv 2310.02244; B. Bordelon, L. Noci, M. Li, B. Hanin, C. Pehlevan, arXiv 2309.16620).
"""

from dataclasses import replace

import pandas as pd

from multirun_analysis.cell.layout import is_number
from multirun_analysis.figures import error_key, panels
from multirun_analysis.figures.picture import Picture, Request
from taunode.errors import BadInput

RATES = ("lr", "learning_rate")
SIZES = ("arch.depth", "arch.layers", "arch.width")
MOST = 6  # panels, beyond which nothing is chosen here


def draw(request: Request) -> Picture:
    """
    Raises:
        BadInput: no learning rate varies.
    """
    key = request.along or rate(request.cells)
    if key is None:
        raise BadInput("lr-transfer needs a learning rate with several values: a key named lr; choose with --along")
    drawn = error_key.draw(replace(request, along=key, lines=request.lines or sizes(request, key)), stars=True)
    return replace(drawn, note=f"{drawn.note}; stars: the best {key.rpartition('.')[2]} of each line")


def rate(cells: pd.DataFrame) -> str | None:
    """The learning rate that varies."""
    keys = (key for key in cells.attrs["keys"] if key.rpartition(".")[2] in RATES)
    return next((key for key in keys if is_number(cells[key])), None)


def sizes(request: Request, key: str) -> tuple[str, ...] | None:
    """The size of the network, if it varies: what a rate is transferred along; the rest then are panels."""
    cells = request.cells
    size = next((size for size in SIZES if size in cells and is_number(cells[size])), None)
    if size is None or request.panels is not None:
        return None
    arranged = panels.arrange(cells, [key], (size,))
    return (size,) if sum(1 for _ in panels.groups(cells, arranged.panels)) <= MOST else None
