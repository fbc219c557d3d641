"""Bars: error against depth, a bar a τ, error bars over seeds; divergence and holes are drawn, never left out.

The axis is linear and begins at zero, because a bar's length is its value; what is too small to be read off beside
a bar of 80 % is written above it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from multirun_analysis.cell.grid import Grid, grid, remarks
from multirun_analysis.cell.layout import Place
from multirun_analysis.cell.naming import in_math
from multirun_analysis.figures import panels
from multirun_analysis.figures.picture import Picture, Request
from multirun_analysis.figures.style import COLOURS, COLUMN, SIZE, TEXT, styled
from multirun_analysis.labels.quantity import words
from multirun_analysis.labels.tau import in_order_of_tau
from multirun_analysis.labels.values import NONE, number, short, title
from multirun_analysis.papers.published import Number, Role
from multirun_analysis.tables.columns import long
from multirun_analysis.tables.entry import note
from taunode.errors import BadInput

GLYPH = 0.6  # mean width of a character, of its size
GROUP = 0.84  # share of a depth's slot that its bars fill
PUBLISHED = ", published"  # after the label of a published number
GAP = 3.5  # points between an error bar and the number above it


@dataclass(frozen=True)
class Layout:
    """How wide the figure is, and what fits on a bar; lengths in points, about what constrained layout will make.

    Attributes:
        width: of the figure, inches.
        bar: width of a bar as a share of a depth's slot.
        size: of the text above the bars.
        upright: the numbers are wider than a bar and stand upright.
    """

    width: float
    bar: float
    size: float
    upright: bool
    height: float = 72 * 1.75

    @classmethod
    def of(cls, grid: Grid, narrow: bool) -> "Layout":
        """One column if the numbers fit above its bars, else both."""
        bar = GROUP / max(len(grid.lines_of(panel)) for panel in grid.panels)
        digits = max((len(_number(cell)) for *_, cell in _every(grid) if cell is not None), default=0)
        across = 1 if narrow else min(len(grid.panels), 3)
        for width in (COLUMN,) if narrow else (COLUMN, TEXT):
            points = bar * 72 * (width - 0.5) / across / len(grid.along)
            upright = digits * GLYPH * (SIZE - 1) > points
            if not upright:
                break
        return cls(width, bar, max(4.0, min(SIZE - 1, points - 1)), upright)

    def room(self, cell: "pd.Series[Any]") -> float:
        """The share of the axis' height that a cell's number and remark take above its bar."""
        number = GLYPH * self.size * len(_number(cell)) if self.upright else self.size
        remark = GLYPH * self.size * (len(_remark(cell)) + 1) if _remark(cell) else 0.0
        return min((number + remark + GAP + 2) / self.height, 0.8)

    def top(self, grid: Grid) -> float:
        """The axis' upper end, so that every number and remark is inside."""
        cells = (cell for *_, cell in _every(grid) if cell is not None and _has_mean(cell))
        top = max((_reach(cell) / (1 - self.room(cell)) for cell in cells), default=0.0)
        return top if top > 0 else 100.0


def draw(request: Request) -> Picture:
    """A group of bars a depth, a bar a τ, a panel for each value of what else tells the cells apart.

    A bar is the mean over seeds, its error bar ± one sd; the number is the mean. A cell of which every finished
    run diverged is a hatched bar as high as the axis.

    Raises:
        BadInput: the networks have no depth.
    """
    cells = request.checked().cells
    if request.along:
        request.column(request.along)  # says what is wrong with it
    if (request.along or "arch.depth") not in cells:
        raise BadInput("error-depth needs networks with a depth; error-key draws against any key")
    along, lines = request.along or "arch.depth", request.lines or ("tau",)
    arranged = panels.arrange(cells, [along], lines, request.panels)
    found = grid(with_published(cells, request.published), [along], arranged.panels, lines)
    layout = Layout.of(found, request.narrow)
    top = layout.top(found)
    paints = _paints(found.lines)
    with styled():
        figure, axes = panels.subplots(len(found.panels), request.narrow, wide=layout.width == TEXT)
        for one, panel in zip(axes, found.panels, strict=True):
            middle = (len(found.lines_of(panel)) - 1) / 2
            for x, place, line, cell in _places(found, panel):
                _draw(one, x + (place - middle) * layout.bar, cell, paints[line], top, layout)
            one.set_xticks(range(len(found.along)), [place[0] for place in found.along])
            one.set_xlim(-0.5, len(found.along) - 0.5)
            one.set_ylim(0, top)
            one.set_xlabel(short(along))
            if len(found.panels) > 1:
                one.set_title(
                    ", ".join(f"{short(key)} {text}" for key, text in zip(found.panel_keys, panel, strict=True))
                )
            if "error" in words(request.value) and top > 100:
                one.set_yticks(range(0, 101, 20))
            if one is axes[0] or request.narrow:
                one.set_ylabel(title(request.value))
        shown = [Patch(**paint, label=_label(lines, place)) for place, paint in zip(found.lines, paints, strict=True)]
        panels.legend(figure, shown)
    return Picture(figure, long(found.cells), note(request.sweep, request.value))


def with_published(cells: pd.DataFrame, numbers: Sequence[tuple[Number, int]]) -> pd.DataFrame:
    """The cells, and beside those that published numbers can be compared with a cell for each number.

    Its n is 0 if it is not published; its τ's label says what it is.
    """
    value, by_number = cells["value"].iloc[0], {int(row["cell"]): row for row in cells.to_dict("records")}
    rows = [
        by_number[cell]
        | {
            "tau": f"{by_number[cell]['tau']}{PUBLISHED}",
            "n": number.sample.n,
            "mean": number.mean,
            "sd": number.sd,
        }
        | {"runs": number.n, "finished": number.n, "diverged": number.diverged or 0, "unfinished": "", "missing": ""}
        for number, cell in numbers
        if number.role is Role.PUBLISHED and number.value == value
    ]
    if not rows:
        return cells
    both = pd.concat([cells, pd.DataFrame(rows).reindex(columns=cells.columns)], ignore_index=True)
    both["tau"] = in_order_of_tau(both)
    both.attrs["keys"] = cells.attrs["keys"]
    return both


Position = tuple[int, int, int, "pd.Series[Any] | None"]


def _places(grid: Grid, panel: Place) -> Iterator[Position]:
    """(number on the axis, place in its group, number of the line in the figure, cell or None) of a panel."""
    for x, along in enumerate(grid.along):
        for place, line in enumerate(grid.lines_of(panel)):
            yield x, place, grid.lines.index(line), grid.at(along, panel, line)


def _every(grid: Grid) -> Iterator[Position]:
    return (position for panel in grid.panels for position in _places(grid, panel))


def _reach(cell: "pd.Series[Any]") -> float:
    """The upper end of a cell's error bar."""
    return float(cell["mean"] + (cell["sd"] if pd.notna(cell["sd"]) else 0))


def _has_mean(cell: "pd.Series[Any]") -> bool:
    return bool(pd.notna(cell["mean"]))


def _number(cell: "pd.Series[Any]") -> str:
    return number(cell["mean"], cell["value"]) if _has_mean(cell) else ""


def _remark(cell: "pd.Series[Any]") -> str:
    return ", ".join(remarks(cell))


def _label(keys: Sequence[str], line: Place) -> str:
    published = PUBLISHED if line[-1].endswith(PUBLISHED) else ""
    values = dict(zip(keys, (text.removesuffix(PUBLISHED) for text in line), strict=True))
    return in_math(values, list(keys)) + published


def _paints(lines: Sequence[Place]) -> list[dict[str, Any]]:
    """How the bars of each line look: a colour each, dotted from the ninth on; a published number is hollow."""
    plain = [tuple(text.removesuffix(PUBLISHED) for text in line) for line in lines]
    place_of = {line: place for place, line in enumerate(dict.fromkeys(plain))}
    paints = []
    for line, without in zip(lines, plain, strict=True):
        place = place_of[without]
        colour = COLOURS[place % len(COLOURS)]
        if line != without:
            paints.append({"facecolor": "w", "edgecolor": colour, "linewidth": 0.8})
        elif place < len(COLOURS):
            paints.append({"facecolor": colour, "edgecolor": colour, "linewidth": 0.0})
        else:
            paints.append({"facecolor": "w", "edgecolor": colour, "linewidth": 0.0, "hatch": "....."})
    return paints


def _draw(
    axes: Axes, at: float, cell: "pd.Series[Any] | None", paint: dict[str, Any], top: float, layout: Layout
) -> None:
    """One bar around `at`, or what stands in its place."""
    width = layout.bar * 0.92
    text: dict[str, Any] = {"ha": "center", "va": "bottom", "size": layout.size, "textcoords": "offset points"}
    upright = text | {"rotation": 90}
    if cell is None:
        axes.annotate(NONE, (at, 0), (0, 1), color="0.4", **text)
    elif _has_mean(cell):
        axes.bar(at, cell["mean"], width, **paint)
        if pd.notna(cell["sd"]):
            axes.errorbar(at, cell["mean"], cell["sd"], fmt="none", ecolor="0.1", elinewidth=0.7, capsize=1.5)
        end = (at, _reach(cell))
        if layout.upright:
            axes.annotate("  ".join(filter(None, (_number(cell), _remark(cell)))), end, (0, GAP), **upright)
        else:
            axes.annotate(_number(cell), end, (0, GAP - 1), **text)
            axes.annotate(_remark(cell), end, (0, layout.size + GAP + 1), **upright)
    elif cell["diverged"]:
        axes.bar(at, top, width, facecolor="w", edgecolor=paint["edgecolor"], hatch="//////", linewidth=0.6)
        halo = [patheffects.withStroke(linewidth=2.4, foreground="w")]
        axes.annotate(_remark(cell), (at, top / 2), (0, 0), path_effects=halo, **(upright | {"va": "center"}))
    else:
        axes.annotate(_remark(cell), (at, 0), (0, 2), color="0.4", **upright)
