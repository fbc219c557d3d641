"""Pictures: the figures that a sweep has, as SVG inside the page."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from multirun_analysis.cell.cells import number_of
from multirun_analysis.figures import registry
from multirun_analysis.figures.style import render
from multirun_analysis.papers.published import Number
from multirun_analysis.read.sweep import Sweep
from taunode.errors import BadInput
from taunode.runs.state import State

PIXELS = 130  # an inch: type of 7 points is then as large as the page's small print


@dataclass(frozen=True)
class Picture:
    """A figure: its name, what its numbers are, its width on a screen in pixels, and its SVG in base64."""

    name: str
    note: str
    width: int
    svg: str


def pictures(sweep: Sweep, value: str, numbers: Iterable[Number]) -> list[Picture]:
    """The figure that the sweep asks for, then the others that its runs can fill; none before a run is done."""
    numbers, found = list(numbers), []
    for name in _names(sweep) if (sweep.runs["state"] == State.DONE).any() else ():
        try:
            drawn = registry.draw(sweep, name, value, numbers)
        except BadInput:  # these runs are not what it shows
            continue
        width = round(PIXELS * drawn.figure.get_figwidth())
        found.append(Picture(name, drawn.note, width, base64.b64encode(render(drawn.figure, "svg")).decode()))
    return found


def _names(sweep: Sweep) -> list[str]:
    first = registry.choose(sweep)
    if first == "error-depth":
        return [first, *(name for name in registry.FIGURES if name not in (first, "forward-stability"))]
    several = first == "curves" and number_of(sweep.runs).nunique() > 1
    return [first, "wall-time"] if several else [first]
