"""Figures: every figure by its name, with one line about it, and which of them a sweep asks for.

A new figure is a module here with `draw(request)`, and a line in `FIGURES`: the command's help, its completion, the
report and README's list are made from them. Modules are imported when they draw: matplotlib takes a second.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taunode.errors import BadInput, nearest

if TYPE_CHECKING:
    from multirun_analysis.figures.picture import Picture, Request
    from multirun_analysis.read.sweep import Sweep

INITIALISATION = ".Initialisation"  # of a schedule that trains nothing


@dataclass(frozen=True)
class Entry:
    """A figure.

    Attributes:
        module: what draws it, in this package.
        says: what it shows, in a few words.
        in_report: a report shows it where the sweep can fill it.
        published: it can show published numbers.
    """

    module: str
    says: str
    in_report: bool = True
    published: bool = False


FIGURES = {
    "error-depth": Entry("error_depth", "bars: error against depth, a bar a τ", published=True),
    "error-key": Entry("error_key", "error against any key (--along), a line for what else differs; --fit"),
    "error-tau": Entry("error_tau", "error against τ, a line a depth, fixed and learned τ apart"),
    "lr-transfer": Entry("lr_transfer", "error against the learning rate, a line a depth, the best one of each marked"),
    "scaling": Entry("scaling", "error against the blocks L with the fit a + b·L^c and its intervals", in_report=False),
    "heat-map": Entry("heat_map", "depth × τ, or any two keys, as colours with numbers"),
    "parallel": Entry("parallel", "parallel coordinates: an axis a key, a line a cell"),
    "importance": Entry("importance", "which key explains how much of the variance between cells"),
    "wall-time": Entry("wall_time", "error against the seconds of a run, a point a cell"),
    "curves": Entry(
        "learning_curves", "a metric against the epoch, a line a cell, a band over its seeds", published=True
    ),
    "probes": Entry("probes", "block × step as colours: features, gradients and updates; --value"),
    "coordinate-check": Entry(
        "coordinate_check", "size of features and of their change against width or depth, a line a step"
    ),
    "forward-stability": Entry("forward_stability", "growth at initialisation against L, a line an exponent"),
}


def with_published() -> list[str]:
    """The figures that can show published numbers."""
    return [name for name, entry in FIGURES.items() if entry.published]


def choose(sweep: "Sweep") -> str:
    """The name of the figure that a sweep asks for.

    What is not trained asks for `forward-stability`; a grid of depth, norm and τ for `error-depth`; anything else
    against a number of three values at least for `error-key`, against a learning rate for `lr-transfer`; networks
    without any of these for `curves`, if there are any, and else for `error-key`.
    """
    from multirun_analysis.cell.cells import cells, default_value
    from multirun_analysis.cell.layout import axis_of
    from multirun_analysis.cell.naming import telling_keys
    from multirun_analysis.figures.lr_transfer import rate

    runs = sweep.runs
    if "schedule._target_" in runs and runs["schedule._target_"].str.endswith(INITIALISATION).all():
        return "forward-stability"
    found = cells(runs, default_value(runs))
    telling = telling_keys(found, found.attrs["keys"])
    if set(telling) <= {"arch.depth", "arch.norm", "tau"} and "arch.depth" in runs and runs["arch.depth"].notna().all():
        return "error-depth"
    if rate(found) in telling:
        return "lr-transfer"
    key = axis_of(found, telling)
    if key is not None and found[key].nunique() > 2:
        return "error-key"
    return "curves" if not sweep.epochs.empty and sweep.epochs["epoch"].max() > 1 else "error-key"


def draw(name: str, request: "Request") -> "Picture":
    """Draw one by its name.

    Raises:
        BadInput: there is no such figure; or the sweep's runs are not what it shows.
    """
    if name not in FIGURES:
        raise BadInput(f"{name!r} is not a figure; nearest: {nearest(name, FIGURES)}")
    drawn: Picture = importlib.import_module(f"multirun_analysis.figures.{FIGURES[name].module}").draw(request)
    return drawn
