"""Figures: every figure by its name, and which of them a sweep asks for."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from multirun_analysis.cell.cells import cells, number_of
from multirun_analysis.cell.grid import grid
from multirun_analysis.figures import error_depth, error_tau, forward_stability, heat_map, learning_curves, wall_time
from multirun_analysis.figures.style import render
from multirun_analysis.papers.published import Number
from multirun_analysis.read.sweep import Sweep
from multirun_analysis.tables.columns import as_csv, long
from multirun_analysis.tables.entry import note
from taunode.errors import BadInput


class Drawn(NamedTuple):
    """A figure, the table of what it shows, and what its numbers are."""

    figure: Figure
    table: pd.DataFrame
    note: str

    def content(self, suffix: str) -> bytes:
        """The figure as `png`, `pdf` or `svg`, or its table as `csv`."""
        return as_csv(self.table).encode() if suffix == "csv" else render(self.figure, suffix)

    def _repr_png_(self) -> bytes:
        return self.content("png")


def draw_error_depth(sweep: Sweep, value: str, numbers: Iterable[Number]) -> Drawn:
    """A group of bars a depth, a bar a τ, a panel a norm."""
    found = error_depth.with_published(cells(sweep.runs, value), numbers)
    return Drawn(error_depth.error_against_depth(grid(found)), long(found), note(sweep, value))


def draw_error_tau(sweep: Sweep, value: str, numbers: Iterable[Number]) -> Drawn:
    """Points against τ, a line a depth, a panel a norm."""
    found = cells(sweep.runs, value)
    runs = sweep.runs.assign(cell=number_of(sweep.runs))
    known = runs[["cell", "tau_value"]].dropna().drop_duplicates("cell") if "tau_value" in runs else runs.iloc[:0]
    tau_values = {int(row["cell"]): float(row["tau_value"]) for row in known.to_dict("records")}
    drawn = error_tau.draw(grid(found), tau_values)
    table = long(found).assign(tau_value=found["cell"].map(tau_values))
    return Drawn(drawn, table, note(sweep, value))


def draw_heat_map(sweep: Sweep, value: str, numbers: Iterable[Number]) -> Drawn:
    """Depth × τ as colours with numbers, a panel a norm."""
    found = cells(sweep.runs, value)
    return Drawn(heat_map.draw(grid(found)), long(found), note(sweep, value))


def draw_wall_time(sweep: Sweep, value: str, numbers: Iterable[Number]) -> Drawn:
    """Error against the seconds of a run, a point a cell."""
    table = wall_time.times(sweep.runs, value)
    times = table[["seconds", "seconds_sd"]]
    return Drawn(wall_time.draw(table), long(table).join(times), note(sweep, value))


def draw_curves(sweep: Sweep, value: str, numbers: Iterable[Number]) -> Drawn:
    """A metric against the epoch, a line a cell, a band over its seeds."""
    metric = value.removeprefix("final_").removeprefix("best_")
    return Drawn(
        *learning_curves.draw(sweep, metric, numbers), f"{sweep.path}: {metric}; lines are means, bands ± sd over seeds"
    )


def draw_forward_stability(sweep: Sweep, value: str, numbers: Iterable[Number]) -> Drawn:
    """Growth at initialisation against L, a line an exponent."""
    return Drawn(
        *forward_stability.draw(sweep.runs), f"{sweep.path}: at initialisation; geometric mean and sd over seeds"
    )


FIGURES: dict[str, Callable[[Sweep, str, Iterable[Number]], Drawn]] = {
    "error-depth": draw_error_depth,
    "error-tau": draw_error_tau,
    "heat-map": draw_heat_map,
    "wall-time": draw_wall_time,
    "curves": draw_curves,
    "forward-stability": draw_forward_stability,
}


def choose(sweep: Sweep) -> str:
    """The name of the figure that a sweep asks for."""
    runs = sweep.runs
    if "schedule._target_" in runs and runs["schedule._target_"].str.endswith(".Initialisation").all():
        return "forward-stability"
    return "error-depth" if "arch.depth" in runs and runs["arch.depth"].notna().all() else "curves"


def draw(sweep: Sweep, name: str, value: str = "final_test_error", numbers: Iterable[Number] = ()) -> Drawn:
    """Draw one by its name.

    Raises:
        BadInput: there is no such figure; or the sweep's runs are not what it shows.
    """
    if name not in FIGURES:
        raise BadInput(f"{name!r} is not a figure; valid: {', '.join(FIGURES)}")
    return FIGURES[name](sweep, value, list(numbers))
