"""Threshold: growth of features and gradients at initialisation against L, a line an exponent of τ = c·L^−β.

Where cells differ in more, in how weights were drawn, say, a line each, of another style.
Zhang et al. (arXiv 1903.07120): bounded for β ≥ 1/2, without bound below; 1/2 is sharp. Both axes are logarithmic, so
means and bands are those of the logarithms (the geometric mean, times and divided by the geometric sd).
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from multirun_analysis.cell.cells import keys_of, number_of
from multirun_analysis.cell.naming import called, telling_keys
from multirun_analysis.figures import panels
from multirun_analysis.figures.picture import Picture, Request
from multirun_analysis.figures.style import styled
from multirun_analysis.labels.tau import tau_math
from taunode.errors import BadInput

PANELS = {"final_growth": "RMS(last stage) / RMS(stem)", "final_stem_gradient": "gradient norm at the stem"}
EDGE = 0.5  # the exponent of the theorem
ROOM = 1e4  # above this an exponent has left the axis: the flat ones could not be told apart beside 10^40
STYLES = ("-", "--", ":", "-.")
NEEDED = ("blocks", "tau.exponent", *PANELS)


def growth(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a τ, a number of blocks, a quantity and `other`: `n`, `mean` (geometric), `factor` (geometric sd).

    `other` says what else tells cells apart, such as `init Smooth`; it is empty where nothing does.

    Raises:
        BadInput: the runs are not those of an initialisation; or they differ in more than can be told apart.
    """
    missing = [key for key in NEEDED if key not in runs]
    if missing:
        raise BadInput(f"forward-stability needs runs with schedule=initialisation; they have no {', '.join(missing)}")
    by = ["tau", "tau.exponent", "blocks"]
    mixed = number_of(runs).groupby([runs[key] for key in by], observed=True).nunique()
    keys = (
        [key for key in telling_keys(runs, keys_of(runs)) if key not in (*by, "arch.depth")]
        if (mixed > 1).any()
        else []
    )
    runs = runs.assign(other=[called(row, keys) for row in runs.to_dict("records")])
    if runs["other"].nunique() > len(STYLES):
        raise BadInput(
            f"forward-stability: a point would hold cells that differ in {', '.join(keys)}, "
            f"more than {len(STYLES)} of them; choose with --where"
        )
    by.append("other")
    tables = []
    for quantity in PANELS:
        values = runs[quantity].astype("float64")
        usable = np.isfinite(values) & (values > 0)
        logs = pd.Series(np.log(values.where(usable)), index=runs.index)
        stats = (
            logs.groupby([runs[key] for key in by], observed=True)
            .agg(n="count", mean="mean", factor="std")
            .reset_index()
        )
        stats[["mean", "factor"]] = np.exp(stats[["mean", "factor"]])
        tables.append(stats[stats["n"] > 0].assign(quantity=quantity))
    table = pd.concat(tables, ignore_index=True)
    return table.sort_values(["quantity", "other", "tau.exponent", "tau", "blocks"], ignore_index=True)


def draw(request: Request) -> Picture:
    """A line a τ; where one leaves the axis an arrow says so."""
    table = growth(request.sweep.runs)
    others = list(dict.fromkeys(table["other"]))
    with styled():
        figure, axes = panels.subplots(len(PANELS), request.narrow, 2.0, shared=False)
        left: list[str] = []
        for (quantity, label), one in zip(PANELS.items(), axes, strict=True):
            of_quantity = table[table["quantity"] == quantity]
            one.set_xscale("log")
            one.set_yscale("log")
            top = min(of_quantity["mean"].max() * 2, ROOM)
            one.set_ylim(of_quantity["mean"].min() / 2, top)
            for (other, tau), line in of_quantity.groupby(["other", "tau"], sort=False, observed=True):
                left += _line(one, line, str(tau), top, str(other), STYLES[others.index(other)])
            blocks = sorted(table["blocks"].unique())
            one.set_xticks(blocks, [f"{count}" for count in blocks])
            one.minorticks_off()
            one.set_xlabel("blocks L")
            one.set_ylabel(label)
        shown = list(axes[0].get_legend_handles_labels()[0])
        if left:
            look: dict[str, Any] = {"color": "0.3", "marker": "^", "markersize": 4, "linestyle": ""}
            shown.append(Line2D([], [], label="leaves the axis", **look))
        panels.legend(figure, shown, most=7)
    said = f"{request.sweep.path}: at initialisation; geometric mean and sd over seeds"
    if left:
        said += f"; above {ROOM:g}, and off the axis: τ = {', '.join(dict.fromkeys(left))}"
    return Picture(figure, table, said)


def _line(axes: Axes, line: pd.DataFrame, tau: str, top: float, other: str, style: str) -> list[str]:
    """Warm colours grow, cold ones do not, the edge is black; the further from it, the darker. Gives τ if it leaves."""
    exponent = float(line["tau.exponent"].iloc[0])
    away = min(abs(exponent - EDGE) / EDGE, 1.0)
    colour = "k" if away == 0 else colormaps["autumn_r" if exponent < EDGE else "winter_r"](0.25 + 0.75 * away)
    mean, factor = line["mean"], line["factor"].fillna(1)
    axes.plot(
        line["blocks"],
        mean,
        style,
        color=colour,
        linewidth=1.6 if away == 0 else 1.0,
        marker="o",
        markersize=2.2,
        label=", ".join(filter(None, (f"τ = {tau_math(tau)}", other))),
    )
    axes.fill_between(line["blocks"], mean / factor, mean * factor, color=colour, alpha=0.2, linewidth=0)
    above = line[mean > top]
    if above.empty:
        return []
    # Where the line to the first point above crosses the edge; both axes are logarithmic.
    inside = line[line["blocks"] < above["blocks"].iloc[0]].tail(1)
    x = float(above["blocks"].iloc[0])
    if len(inside):
        (x0, y0), (x1, y1) = ((np.log(row["blocks"].iloc[0]), np.log(row["mean"].iloc[0])) for row in (inside, above))
        x = float(np.exp(x0 + (np.log(top) - y0) / (y1 - y0) * (x1 - x0)))
    axes.plot([x], [top], color=colour, marker="^", markersize=4.5, clip_on=False, zorder=5)
    return [tau]
