"""Error against any key: points are means over seeds with ± one sd, a line for what else tells the cells apart.

Numbers stand where they are, other values side by side. A cell of which no seed finished is a cross above the axes; one
of which some diverged has a hollow point. Against τ, networks with a fixed and with a learned τ are different lines.
"""

from dataclasses import replace
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from multirun_analysis.cell.layout import axis_of, codes_of, is_number
from multirun_analysis.cell.naming import called, telling_keys
from multirun_analysis.cell.tuned import ranked
from multirun_analysis.figures import panels
from multirun_analysis.figures.picture import Picture, Request, names
from multirun_analysis.figures.style import styled
from multirun_analysis.labels.quantity import words
from multirun_analysis.labels.values import short, text, title
from multirun_analysis.stats.power_law import PowerLaw
from multirun_analysis.tables.columns import long
from multirun_analysis.tables.entry import note
from taunode.errors import BadInput

RULE = (
    "tau",
    "tau._target_",
    "tau.exponent",
    "tau.scale",
    "tau.blocks",
)  # follow from τ's number; who trains it does not
AXES = {"tau": "τ", "tau_value": "τ", "blocks": "blocks L", "parameters": "parameters"}
X = "x"


def draw(request: Request, stars: bool = False) -> Picture:
    """
    Args:
        stars: mark the best point of each line.

    Raises:
        BadInput: there is no key to draw against; or the one that was asked for is not there.
    """
    cells, key = request.checked().cells, request.along or default_axis(request)
    table = cells.assign(**{X: request.column(key)})
    table.attrs = cells.attrs
    without = RULE if key in ("tau", "tau_value") else ()
    arranged = panels.arrange(table, [X], request.lines, request.panels, without)
    within = (part for _, part in panels.groups(cells, arranged.panels))
    if request.lines is None and without and any(_varies(part, "tau.learn") for part in within):
        arranged = replace(arranged, lines=(*dict.fromkeys([*arranged.lines, "tau.learn"]),))
    known = table[table[X].notna()]
    if known.empty:
        raise BadInput(f"no cell has a value of {key}")
    looks = panels.looks(known, arranged.lines)
    found = list(panels.groups(known, arranged.panels))
    fits: list[str] = []
    percent = "error" in words(request.value)
    with styled():
        figure, axes = panels.subplots(len(found), request.narrow)
        for place, (one, (_, part)) in enumerate(zip(axes, found, strict=True)):
            panels.titled(one, panels.values_of(part, arranged.panels))
            codes = _ticks(one, known, key)
            crosses = []
            for number, (line, of_line) in enumerate(panels.groups(part, arranged.lines)):
                look = looks[line]
                gone = _line(one, of_line.assign(at=codes.reindex(of_line.index)), look, is_number(known[X]))
                crosses += [(at, look.color, look.marker if len(arranged.lines) > 1 else "") for at in gone]
                if stars:
                    _star(one, of_line.assign(at=codes.reindex(of_line.index)), look, max(15 - 3 * number, 6))
                if request.fit and is_number(known[X]):
                    fits += _fitted(one, of_line, look, panels.values_of(part, arranged.panels))
            panels.strip(one, crosses)
            one.set_xlabel(_called(cells, key))
            if place == 0 or request.narrow:
                one.set_ylabel(title(request.value))
        panels.align(axes)
        panels.same_along(axes)
        low, high = known["mean"].min(), (known["mean"] + known["sd"].fillna(0)).max()
        panels.scale_up(axes[0], low, high, percent)
        panels.legend(figure, [*panels.handles(looks, arranged.lines), *_hollow(known)])
    said = note(request.sweep, request.value)
    said += f"; {short(key)} on the axis, lines: {names(arranged.lines)}, panels: {names(arranged.panels)}"
    if left := len(table) - len(known):
        said += f"; {left} cells without a value of {key} are not drawn"
    return Picture(figure, long(cells).assign(**{X: table[X]}), "; ".join([said, *fits]))


def default_axis(request: Request) -> str:
    """The numeric key with most values, else the key with most."""
    cells = request.cells
    telling = telling_keys(cells, cells.attrs["keys"])
    key = axis_of(cells, telling) or max(telling, key=lambda key: cells[key].nunique(dropna=False), default=None)
    if key is None:
        raise BadInput("these runs differ in nothing but the seed: there is no key to draw against")
    return "tau" if key in ("tau.exponent", "tau.scale") else key


def _called(cells: pd.DataFrame, key: str) -> str:
    name = AXES.get(key, short(key))
    learned = "tau.learn" in cells and (cells["tau.learn"].fillna("none") != "none").any()
    return f"{name} (where it is learned, its start)" if name == "τ" and learned else name


def _varies(cells: pd.DataFrame, key: str) -> bool:
    return key in cells and cells[key].nunique(dropna=False) > 1


def _ticks(axes: Axes, known: pd.DataFrame, key: str) -> "pd.Series[float]":
    """Where each cell stands: at its number, or at the place of its value."""
    if is_number(known[X]):
        panels.scale_along(axes, known[X], ticks=key not in ("tau", "tau_value"))
        return known[X].astype("float64")
    codes, places = codes_of(known.assign(**{key: known[X]}), [key])
    axes.set_xticks(range(len(places)), [text(place[0]) for place in places], rotation=0 if len(places) < 6 else 30)
    axes.set_xlim(-0.5, len(places) - 0.5)
    return pd.Series(codes, known.index, dtype="float64")


def _line(axes: Axes, part: pd.DataFrame, look: panels.Look, joined: bool) -> list[float]:
    """The points of a line; gives where its crosses are."""
    points = part[part["n"] > 0].sort_values("at")
    style: dict[str, Any] = {"color": look.color, "marker": "", "linewidth": 1.0, "elinewidth": 0.7, "capsize": 1.5}
    axes.errorbar(
        points["at"],
        points["mean"],
        points["sd"].fillna(0),
        linestyle=look.linestyle if joined else "",
        **style,
    )
    for hollow, some in points.groupby(points["diverged"] > 0):
        face = "w" if hollow else look.color
        axes.plot(
            some["at"],
            some["mean"],
            linestyle="",
            marker=look.marker,
            markersize=3.2,
            color=look.color,
            markerfacecolor=face,
            zorder=3,
        )
    gone = part[(part["n"] == 0) & (part["diverged"] > 0)]
    return [float(at) for at in gone["at"]]


def _star(axes: Axes, part: pd.DataFrame, look: panels.Look, size: float) -> None:
    """At the best of a line. Those of later lines are smaller, so that none hides another."""
    best = part[(part["n"] > 0) & (ranked(part) == 0)]
    axes.plot(
        best["at"],
        best["mean"],
        color=look.color,
        marker="*",
        markersize=size,
        markeredgecolor="w",
        markeredgewidth=0.6,
        linestyle="",
        zorder=4,
    )


def _hollow(cells: pd.DataFrame) -> list[Artist]:
    if not ((cells["n"] > 0) & (cells["diverged"] > 0)).any():
        return []
    look: dict[str, Any] = {"marker": "o", "markersize": 3.2, "linestyle": "", "markerfacecolor": "w"}
    return [Line2D([], [], color="0.3", label="some seeds diverged", **look)]


def _fitted(axes: Axes, part: pd.DataFrame, look: panels.Look, panel: dict[str, Any]) -> list[str]:
    points = part[part["n"] > 0].sort_values(X)
    fit = PowerLaw.fit(points[X].to_numpy(float), points["mean"].to_numpy(float))
    name = called({**panel, **look.values}, [*panel, *look.values])
    if fit is None:
        return [f"{name or 'all'}: too few points for a fit"]
    along = fit.along()
    axes.plot(along, fit(along), color=look.color, linewidth=0.8, linestyle=(0, (1, 1)))
    return [f"{name or 'all'}: {fit}"]
