"""Bars: error against depth, a bar a τ, error bars over seeds; divergence and holes are drawn, never left out.

The axis is linear and begins at zero, because a bar's length is its value; what is too small to be read off beside
a bar of 80 % is written above it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from multirun_analysis.cell.grid import NONE, Grid, remarks
from multirun_analysis.figures.style import COLOURS, COLUMN, SIZE, TEXT, styled
from multirun_analysis.labels.tau import in_order_of_tau, tau_math
from multirun_analysis.labels.values import number, title
from multirun_analysis.papers.published import Number, Role

GLYPH = 0.6  # mean width of a character, of its size
GROUP = 0.84  # share of a depth's slot that its bars fill
DEPTH_AND_TAU = ("arch.depth", "tau.exponent")
PUBLISHED = ", published"  # after the τ of a published number


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
    def of(cls, grid: Grid) -> "Layout":
        """One column if the numbers fit above its bars, else both."""
        bar = GROUP / max(len(grid.taus_of(norm)) for norm in grid.norms)
        places = (place for norm in grid.norms for place in _places(grid, norm))
        digits = max((len(_number(cell)) for *_, cell in places if cell is not None), default=0)
        for width in (COLUMN, TEXT):
            points = bar * 72 * (width - 0.5) / len(grid.norms) / len(grid.depths)
            upright = digits * GLYPH * (SIZE - 1) > points
            if not upright:
                break
        return cls(width, bar, max(4.0, min(SIZE - 1, points - 1)), upright)

    def room(self, cell: "pd.Series[Any]") -> float:
        """The share of the axis' height that a cell's number and remark take above its bar."""
        number = GLYPH * self.size * len(_number(cell)) if self.upright else self.size
        remark = GLYPH * self.size * (len(_remark(cell)) + 1) if _remark(cell) else 0.0
        return min((number + remark + 4) / self.height, 0.8)

    def top(self, grid: Grid) -> float:
        """The axis' upper end, so that every number and remark is inside."""
        places = (place for norm in grid.norms for place in _places(grid, norm))
        cells = (cell for *_, cell in places if cell is not None and _has_mean(cell))
        top = max((_reach(cell) / (1 - self.room(cell)) for cell in cells), default=0.0)
        return top if top > 0 else 100.0


def error_against_depth(grid: Grid) -> Figure:
    """The figure of a grid: a group of bars a depth, a bar a τ, a panel a norm.

    A bar is the mean over seeds, its error bar ± one sd; the number is the mean. A cell of which every finished
    run diverged is a hatched bar as high as the axis.
    """
    layout = Layout.of(grid)
    top = layout.top(grid)
    paints = _paints(grid.taus)
    with styled():
        figure = Figure(figsize=(layout.width, 2.5), layout="constrained")
        panels = figure.subplots(1, len(grid.norms), sharey=True, squeeze=False)[0]
        for norm, axes in zip(grid.norms, panels, strict=True):
            middle = (len(grid.taus_of(norm)) - 1) / 2
            for depth, place, tau, cell in _places(grid, norm):
                _draw(axes, depth + (place - middle) * layout.bar, cell, paints[tau], top, layout)
            axes.set_xticks(range(len(grid.depths)), grid.depths)
            axes.set_xlim(-0.5, len(grid.depths) - 0.5)
            axes.set_ylim(0, top)
            axes.set_xlabel("depth")
            if len(grid.norms) > 1:
                axes.set_title(f"norm: {norm}")
        value = str(grid.cells["value"].iloc[0])
        panels[0].set_ylabel(title(value))
        if value.endswith("_error") and top > 100:
            panels[0].set_yticks(range(0, 101, 20))
        handles = [Patch(**paint, label=_label(tau)) for tau, paint in zip(grid.taus, paints, strict=True)]
        columns = min(len(handles), 3 if layout.width == COLUMN else 6)
        figure.legend(handles=handles, loc="outside upper center", ncols=columns)
    return figure


def with_published(cells: pd.DataFrame, numbers: Iterable[Number]) -> pd.DataFrame:
    """The cells, and a cell for each published number of networks with a depth and a τ; its n is 0 if not published."""
    value = cells["value"].iloc[0]
    rows = [
        dict(number.position)
        | {"tau": number.tau + PUBLISHED, "value": value}
        | {"n": number.sample.n, "mean": number.mean, "sd": number.sd}
        | {"runs": number.n, "finished": number.n, "diverged": number.diverged or 0, "unfinished": "", "missing": ""}
        for number in numbers
        if number.role is Role.PUBLISHED and number.value == value and number.position.keys() >= {*DEPTH_AND_TAU}
    ]
    if not rows:
        return cells
    both = pd.concat([cells, pd.DataFrame(rows).reindex(columns=cells.columns)], ignore_index=True)
    both["tau"] = in_order_of_tau(both)
    both.attrs["keys"] = cells.attrs["keys"]
    return both


def _places(grid: Grid, norm: str) -> "Iterator[tuple[int, int, int, pd.Series[Any] | None]]":
    """(number of the depth, place in its group, number of the τ in the figure, cell or None) of a norm's panel."""
    for depth, depth_label in enumerate(grid.depths):
        for place, tau in enumerate(grid.taus_of(norm)):
            yield depth, place, grid.taus.index(tau), grid.at(depth_label, norm, tau)


def _reach(cell: "pd.Series[Any]") -> float:
    """The upper end of a cell's error bar."""
    return float(cell["mean"] + (cell["sd"] if pd.notna(cell["sd"]) else 0))


def _has_mean(cell: "pd.Series[Any]") -> bool:
    return bool(pd.notna(cell["mean"]))


def _number(cell: "pd.Series[Any]") -> str:
    return number(cell["mean"], cell["value"]) if _has_mean(cell) else ""


def _remark(cell: "pd.Series[Any]") -> str:
    return ", ".join(remarks(cell))


def _label(tau: str) -> str:
    return f"τ = {tau_math(tau.removesuffix(PUBLISHED))}" + (PUBLISHED if tau.endswith(PUBLISHED) else "")


def _paints(taus: Sequence[str]) -> list[dict[str, Any]]:
    """How the bars of each τ look: a colour a τ, dotted from the ninth on; a published number beside it is hollow."""
    of_tau = {tau: place for place, tau in enumerate(dict.fromkeys(tau.removesuffix(PUBLISHED) for tau in taus))}
    paints = []
    for tau in taus:
        place = of_tau[tau.removesuffix(PUBLISHED)]
        colour = COLOURS[place % len(COLOURS)]
        if tau.endswith(PUBLISHED):
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
            axes.annotate("  ".join(filter(None, (_number(cell), _remark(cell)))), end, (0, 2), **upright)
        else:
            axes.annotate(_number(cell), end, (0, 2), **text)
            axes.annotate(_remark(cell), end, (0, layout.size + 4), **upright)
    elif cell["diverged"]:
        axes.bar(at, top, width, facecolor="w", edgecolor=paint["edgecolor"], hatch="//////", linewidth=0.6)
        halo = [patheffects.withStroke(linewidth=2.4, foreground="w")]
        axes.annotate(_remark(cell), (at, top / 2), (0, 0), path_effects=halo, **(upright | {"va": "center"}))
    else:
        axes.annotate(_remark(cell), (at, 0), (0, 2), color="0.4", **upright)
