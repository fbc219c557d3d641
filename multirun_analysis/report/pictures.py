"""Pictures: the figures that a sweep has, as SVG inside the page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from multirun_analysis.figures import registry
from multirun_analysis.figures.picture import Request
from multirun_analysis.figures.style import render
from multirun_analysis.papers.ours import beside
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


def pictures(sweep: Sweep, value: str, numbers: Sequence[Number]) -> list[Picture]:
    """The figure that the sweep asks for, then the others that its runs can fill; none before a run is done."""
    if not (sweep.runs["state"] == State.DONE).any():
        return []
    shown, _ = beside(numbers, sweep.runs)
    request, found = Request(sweep, value, tuple(shown)), []
    first = registry.choose(sweep)
    others = [name for name, entry in registry.FIGURES.items() if name != first and entry.in_report]
    for name in [first, *others]:
        try:
            drawn = registry.draw(name, request)
        except BadInput:  # these runs are not what it shows
            continue
        width = round(PIXELS * drawn.figure.get_figwidth())
        found.append(Picture(name, drawn.note, width, base64.b64encode(render(drawn.figure, "svg")).decode()))
    return found
