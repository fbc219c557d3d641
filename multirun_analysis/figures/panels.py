"""Panels: what all figures of lines share: which key is a panel and which a line, colours and marks, scales, legends.

Where nothing is said, the keys that tell the cells apart beside the axis are lines; where these would be more than
`MOST`, and where a key is worth it (`PANELS`), the one with fewest values is a panel each.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from multirun_analysis.cell.layout import Place, codes_of, is_number
from multirun_analysis.cell.naming import in_math, telling_keys
from multirun_analysis.figures.style import COLOURS, COLUMN, SIZE, TEXT, plain_logarithmic
from taunode.errors import BadInput

PANELS = ("arch._target_", "arch.norm")
MOST = 8  # lines in a panel, before a key becomes a panel
SEVERAL = (2, 6)  # values of a key that can be panels
TOO_MANY = 24  # panels
MARKERS = "os^Dvp*h"
STYLES = ("-", "--", ":", "-.")
SHADES = 9  # values of a number, from which on they are shades of one colour map
ROW = 1.9  # inches, height of a panel
DECADE = 20  # what spans more than this upwards gets a logarithmic axis
FAR = 5  # and along
PAD = "_room_for_crosses"  # points below a title
TICKS = 8  # numbers that are ticks themselves, if they are not too near


@dataclass(frozen=True)
class Arrangement:
    """Which keys are panels, and which tell lines apart: the first of these by colour, the others by style."""

    panels: tuple[str, ...]
    lines: tuple[str, ...]


def arrange(
    cells: pd.DataFrame,
    given: Sequence[str],
    lines: Sequence[str] | None = None,
    panels: Sequence[str] | None = None,
    without: Sequence[str] = (),
    most: float = MOST,
) -> Arrangement:
    """
    Args:
        given: the keys on the axis.
        lines, panels: if they are said.
        without: keys that follow from the axis.
        most: lines in a panel.
    """
    keys = [key for key in cells.attrs["keys"] if key not in without]
    table = cells.drop(columns=[key for key in without if key in cells])
    rest = telling_keys(table, keys, [*given, *(lines or ()), *(panels or ())])
    if panels is not None:
        return Arrangement(tuple(panels), tuple(_by_colour(cells, rest)) if lines is None else (*lines, *rest))
    chosen = [key for key in PANELS if key not in given and key in table and _fits(cells, key)][:1]
    if lines is not None:
        chosen = [key for key in chosen if key not in lines]
        return Arrangement((*chosen, *telling_keys(table, keys, [*given, *lines, *chosen])), tuple(lines))
    if chosen:
        rest = telling_keys(table, keys, [*given, *chosen])
        chosen, rest = (chosen, rest) if rest else ([], chosen)  # alone it is better as lines beside each other
    while _count(cells, rest) > most and len(chosen) < 2:
        possible = [key for key in rest if _fits(cells, key)]
        if not possible or len(rest) < 2:
            break
        chosen.append(min(possible, key=lambda key: cells[key].nunique(dropna=False)))
        rest.remove(chosen[-1])
    return Arrangement(tuple(chosen), tuple(_by_colour(cells, rest)))


def _fits(cells: pd.DataFrame, key: str) -> bool:
    return SEVERAL[0] <= cells[key].nunique(dropna=False) <= SEVERAL[1]


def _count(cells: pd.DataFrame, keys: list[str]) -> int:
    return len(cells[keys].drop_duplicates()) if keys else 1


def _by_colour(cells: pd.DataFrame, keys: list[str]) -> list[str]:
    """The key with most values first: there are more colours than styles."""
    return sorted(keys, key=lambda key: -cells[key].nunique(dropna=False))


@dataclass(frozen=True)
class Look:
    """How a line is drawn, and the values of the keys that it stands for."""

    values: Mapping[str, Any]
    color: str
    marker: str
    linestyle: str


def looks(cells: pd.DataFrame, keys: Sequence[str]) -> dict[Place, Look]:
    """The look of each combination of values that occurs, in the order of the values."""
    found = list(groups(cells, keys))
    first = list(dict.fromkeys(place[:1] for place, _ in found))
    rest = list(dict.fromkeys(place[1:] for place, _ in found))
    paints = dict(zip(first, colours(len(first), bool(keys) and is_number(cells[keys[0]])), strict=True))
    marks = dict(zip(rest, itertools.cycle(MARKERS), strict=False))
    styles = dict(zip(rest, itertools.cycle(STYLES), strict=False))
    return {
        place: Look(values_of(part, keys), paints[place[:1]], marks[place[1:]], styles[place[1:]])
        for place, part in found
    }


def groups(cells: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[Place, pd.DataFrame]]:
    """The cells that have the same values of these keys, with their labels, in the order of the values."""
    codes, places = codes_of(cells, keys)
    for code, place in enumerate(places):
        yield place, cells[codes == code]


def values_of(part: pd.DataFrame, keys: Sequence[str]) -> dict[str, Any]:
    """The values that all cells of a group share."""
    return {key: part[key].iloc[0] for key in keys}


def colours(count: int, number: bool) -> list[str]:
    """So many colours: shades of one map for many numbers, else those that everybody can tell apart."""
    if number and count >= SHADES:
        return [to_hex(shade) for shade in colormaps["viridis"](np.linspace(0.0, 0.92, count))]
    return list(itertools.islice(itertools.cycle(COLOURS), count))


def handles(found: Mapping[Place, Look], keys: Sequence[str], marker: bool = True, line: bool = True) -> list[Artist]:
    """The colours of the first key's values, then the styles of the others'; not the product of both."""
    if not keys:
        return []
    first = {place[0]: look for place, look in found.items()}
    rest = {place[1:]: look for place, look in found.items()} if len(keys) > 1 else {}
    shown = list(first.values())
    if len(shown) >= SHADES:  # shades: a few of them say enough
        shown = [shown[place] for place in np.linspace(0, len(shown) - 1, 6).round().astype(int)]
    made: list[Artist] = []
    for look in shown:
        mark = None if not marker else "s" if rest else look.marker
        made.append(_handle(look.color, look.values, keys[:1], mark, "-" if line else ""))
    for look in rest.values() if len(rest) <= len(MARKERS) else ():  # more share their marks, which then say nothing
        mark, style = look.marker if marker else None, look.linestyle if line else ""
        made.append(_handle("0.3", look.values, keys[1:], mark, style))
    return made


def _handle(color: str, values: Mapping[str, Any], keys: Sequence[str], marker: str | None, style: str) -> Line2D:
    look: dict[str, Any] = {"marker": marker, "markersize": 3, "linestyle": style}
    return Line2D([], [], color=color, label=in_math(values, keys), **look)


def subplots(
    count: int, narrow: bool, height: float = ROW, shared: bool = True, wide: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, that share their vertical axis or do not; `wide` also if it is only one.

    Raises:
        BadInput: more than can be seen.
    """
    if count > TOO_MANY:
        raise BadInput(f"{count} panels are too many to be seen; choose with --where, or --panels with fewer values")
    across = 1 if narrow else count if count <= 3 else 2 if count == 4 else 3
    rows = -(-count // across)
    width = TEXT if across > 1 or (wide and not narrow) else COLUMN
    figure = Figure(figsize=(width, height * rows + 0.25), layout="constrained")
    grid = figure.subplots(rows, across, sharey=shared, squeeze=False)
    found = list(grid.flat)
    for axes in found[count:]:
        axes.set_axis_off()
    return figure, found[:count]


def same_along(found: Sequence[Axes]) -> None:
    """All panels reach as far along as the one that reaches furthest."""
    ends = [axes.get_xlim() for axes in found]
    for axes in found:
        axes.set_xlim(min(left for left, _ in ends), max(right for _, right in ends))


def titled(axes: Axes, values: Mapping[str, Any]) -> None:
    if values:
        axes.set_title(in_math(values, list(values)))


def legend(figure: Figure, shown: Sequence[Artist], most: int = 6) -> None:
    """Above the panels, in as many columns as fit; the figure grows by its height."""
    if not shown:
        return
    made: Legend | None = None
    for columns in range(min(len(shown), most), 0, -1):
        if made is not None:
            made.remove()
        made = figure.legend(handles=list(shown), loc="outside upper center", ncols=columns)
        if made.get_window_extent().width <= figure.bbox.width:
            break
    assert made is not None
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + made.get_window_extent().height / figure.dpi)


def scale_along(axes: Axes, values: "pd.Series[float]", ticks: bool = True) -> None:
    """A logarithmic axis for positive numbers that span more than `FAR`; few numbers are ticks themselves."""
    found = np.unique(values.dropna().to_numpy(dtype=np.float64))
    far = len(found) > 1 and found[0] > 0 and found[-1] > FAR * found[0]
    if far:
        axes.set_xscale("log")
        plain_logarithmic(axes.xaxis, found[-1] / found[0])
    where = np.log(found) if far else found
    if ticks and 1 < len(found) <= TICKS and np.diff(where).min() > np.ptp(where) / TICKS / 1.5:
        axes.set_xticks(found, [f"{value:g}" for value in found])
        axes.minorticks_off()


def scale_up(axes: Axes, low: float, high: float, percent: bool) -> None:
    """From zero on, or logarithmic where that would hide the small ones; an error ends at 100."""
    if low > 0 and high > DECADE * low and not percent:
        axes.set_yscale("log")
        plain_logarithmic(axes.yaxis, high / low)
        axes.set_ylim(low / 1.3, high * 1.3)
    elif np.isfinite(high) and high > 0:
        axes.set_ylim(min(0.0, low * 1.1), min(high * 1.06, 104.0) if percent else high * 1.06)
    else:
        axes.set_ylim(0, 100 if percent else 1)


def strip(axes: Axes, marks: Sequence[tuple[float, str, str]], word: str = "diverged") -> None:
    """What has no value, above the axes: a cross at each place, in its line's colour; lines one above the other.

    Around it is the line's mark, where one is given: lines of one colour have different ones.
    """
    if not marks:
        return
    above = blended_transform_factory(axes.transData, axes.transAxes)
    rows = list(dict.fromkeys((paint, mark) for _, paint, mark in marks))
    step = 0.055
    look: dict[str, Any] = {"linestyle": "", "transform": above, "clip_on": False}
    for x, paint, mark in marks:
        y = 1.03 + step * rows.index((paint, mark))
        size = 4.0
        if mark:
            size = 3.0
            axes.plot(
                [x], [y], color=paint, marker=mark, markersize=5, markerfacecolor="w", markeredgewidth=0.6, **look
            )
        axes.plot([x], [y], color=paint, marker="x", markersize=size, **look)
    middle = 1.03 + step * (len(rows) - 1) / 2
    axes.text(-0.012, middle, word, transform=axes.transAxes, ha="right", va="center", size=SIZE - 1.5, color="0.35")
    setattr(axes, PAD, 8 + 6.5 * len(rows))  # for `align`


def align(found: Sequence[Axes]) -> None:
    """Titles at one height, also where only some panels have crosses above."""
    pads = [getattr(axes, PAD, 0.0) for axes in found]
    for axes in found:
        if axes.get_title() and any(pads):
            axes.set_title(axes.get_title(), pad=max(pads))
