"""Threshold: growth of features and gradients at initialisation against L, a line an exponent of τ = c·L^−β.

Where cells differ in more, in how weights were drawn, say, a line each, of another style.
Zhang et al. (arXiv 1903.07120): bounded for β ≥ 1/2, without bound below; 1/2 is sharp. Both axes are logarithmic, so
means and bands are those of the logarithms (the geometric mean, times and divided by the geometric sd).
"""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multirun_analysis.cell import keys_of, number_of
from multirun_analysis.labels import tau_math
from multirun_analysis.style import TEXT, styled
from multirun_analysis.telling import called, telling_keys
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


def draw(runs: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """The figure and the table of what it shows."""
    table = growth(runs)
    others = list(dict.fromkeys(table["other"]))
    with styled():
        figure = Figure(figsize=(TEXT, 2.6), layout="constrained")
        panels = figure.subplots(1, len(PANELS), squeeze=False)[0]
        for (quantity, label), axes in zip(PANELS.items(), panels, strict=True):
            for (other, tau), line in table[table["quantity"] == quantity].groupby(["other", "tau"], sort=False):
                _line(axes, line, str(tau), str(other), STYLES[others.index(other)])
            axes.set_xscale("log")
            axes.set_yscale("log")
            smallest = table.loc[table["quantity"] == quantity, "mean"].min()
            axes.set_ylim(smallest / 2, min(axes.get_ylim()[1], ROOM))
            blocks = sorted(table["blocks"].unique())
            axes.set_xticks(blocks, [f"{count}" for count in blocks])
            axes.minorticks_off()
            axes.set_xlabel("blocks L")
            axes.set_ylabel(label)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(len(handles), 7), handlelength=3)
    return figure, table


def _line(axes: Axes, line: pd.DataFrame, tau: str, other: str, style: str) -> None:
    """Warm colours grow, cold ones do not, the edge is black; the further from it, the darker."""
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
