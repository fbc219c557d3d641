"""Threshold: growth of features and gradients at initialisation against L, a line an exponent of τ = c·L^−β.

Zhang et al. (arXiv 1903.07120): bounded for β ≥ 1/2, without bound below; 1/2 is sharp. Both axes are logarithmic, so
means and bands are those of the logarithms (the geometric mean, times and divided by the geometric sd).
"""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multirun_analysis.cell.cells import keys_of, number_of
from multirun_analysis.cell.naming import telling_keys
from multirun_analysis.figures.style import TEXT, styled
from multirun_analysis.labels.tau import tau_math
from taunode.errors import BadInput

PANELS = {"final_growth": "RMS(last stage) / RMS(stem)", "final_stem_gradient": "gradient norm at the stem"}
EDGE = 0.5  # the exponent of the theorem
ROOM = 1e4  # above this an exponent has left the axis: the flat ones could not be told apart beside 10^40
NEEDED = ("blocks", "tau.exponent", *PANELS)


def growth(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a τ, a number of blocks and a quantity: `n`, `mean` (geometric), `factor` (geometric sd).

    Raises:
        BadInput: the runs are not those of an initialisation; or they differ in more than τ, depth and seed.
    """
    missing = [key for key in NEEDED if key not in runs]
    if missing:
        raise BadInput(f"forward-stability needs runs with schedule=initialisation; they have no {', '.join(missing)}")
    by = ["tau", "tau.exponent", "blocks"]
    numbers = number_of(runs)
    mixed = numbers.groupby([runs[key] for key in by], observed=True).nunique()
    if (mixed > 1).any():
        keys = ", ".join(key for key in telling_keys(runs, keys_of(runs)) if key not in (*by, "arch.depth"))
        raise BadInput(f"forward-stability: a point would hold cells that differ in {keys}; choose with --where")
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
    return table.sort_values(["quantity", "tau.exponent", "tau", "blocks"], ignore_index=True)


def draw(runs: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """The figure and the table of what it shows."""
    table = growth(runs)
    with styled():
        figure = Figure(figsize=(TEXT, 2.6), layout="constrained")
        panels = figure.subplots(1, len(PANELS), squeeze=False)[0]
        for (quantity, label), axes in zip(PANELS.items(), panels, strict=True):
            for tau, line in table[table["quantity"] == quantity].groupby("tau", sort=False):
                _line(axes, line, str(tau))
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
        figure.legend(handles, labels, loc="outside upper center", ncols=min(len(handles), 7))
    return figure, table


def _line(axes: Axes, line: pd.DataFrame, tau: str) -> None:
    """Warm colours grow, cold ones do not, the edge is black; the further from it, the darker."""
    exponent = float(line["tau.exponent"].iloc[0])
    away = min(abs(exponent - EDGE) / EDGE, 1.0)
    colour = "k" if away == 0 else colormaps["autumn_r" if exponent < EDGE else "winter_r"](0.25 + 0.75 * away)
    mean, factor = line["mean"], line["factor"].fillna(1)
    axes.plot(
        line["blocks"],
        mean,
        color=colour,
        linewidth=1.6 if away == 0 else 1.0,
        marker="o",
        markersize=2.2,
        label=f"τ = {tau_math(tau)}",
    )
    axes.fill_between(line["blocks"], mean / factor, mean * factor, color=colour, alpha=0.2, linewidth=0)
