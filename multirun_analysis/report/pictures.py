"""Pictures: the figures that a sweep has, as SVG inside the page: one for a wide page, and one for a phone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from multirun_analysis.figures import registry
from multirun_analysis.figures.picture import Request
from multirun_analysis.figures.style import COLUMN
from multirun_analysis.papers.ours import beside
from multirun_analysis.papers.published import Number
from multirun_analysis.read.sweep import Sweep
from multirun_analysis.report.svg import themed
from taunode.errors import BadInput
from taunode.runs.state import State


@dataclass(frozen=True)
class Drawing:
    """A figure: its name, what its numbers are, whether it is as wide as the page, its SVG, and that for a phone."""

    name: str
    note: str
    wide: bool
    svg: str
    narrow: str  # empty where the other one is narrow enough


def drawings(sweep: Sweep, value: str, numbers: Sequence[Number]) -> Iterator[Drawing]:
    """The figure that the sweep asks for, then the others that its runs can fill; none before a run is done."""
    if not (sweep.runs["state"] == State.DONE).any():
        return
    shown, left_out = beside(numbers, sweep.runs)
    request = Request(sweep, value, tuple(shown))
    first = registry.choose(sweep)
    skipped = {first, *(["error-key"] if first in ("error-depth", "lr-transfer") else [])}  # it would show the same
    others = [name for name, entry in registry.FIGURES.items() if name not in skipped and entry.in_report]
    for name in [first, *others]:
        try:
            drawn = registry.draw(name, request)
        except BadInput:  # these runs are not what it shows
            continue
        wide = drawn.figure.get_figwidth() > COLUMN
        narrow = themed(registry.draw(name, request.narrowed()).figure, f"{name}-narrow") if wide else ""
        said = drawn.note.removeprefix(f"{sweep.path}: ")
        said = said.replace(value, value.replace("_", " "), 1)  # a column's name is for those who type it
        if left_out and registry.FIGURES[name].published:
            said += f"; published numbers not drawn: {'; '.join(left_out)}"
        yield Drawing(name, said, wide, themed(drawn.figure, name), narrow)
