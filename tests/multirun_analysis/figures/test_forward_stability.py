"""The threshold: geometric means, a line an exponent, and only what grows leaves the axis."""

import numpy as np
import pandas as pd
import pytest
from figure_parts import labels
from synthetic import configuration, write_initialisations, write_runs

from multirun_analysis import load
from multirun_analysis.figures.forward_stability import ROOM, draw, growth
from multirun_analysis.figures.picture import Request
from multirun_analysis.read.sweep import Sweep
from taunode.errors import BadInput


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    path = tmp_path_factory.mktemp("threshold") / "s"
    return sweep_of(path).runs


def sweep_of(path):
    return load(write_initialisations(path, (0.0, 0.25, 0.4, 0.5, 1.0)).path)


def test_means_are_geometric(runs):
    table = growth(runs)
    assert len(table) == 5 * 4 * 2
    for row in table.to_dict("records"):
        values = runs.loc[(runs["tau"] == row["tau"]) & (runs["blocks"] == row["blocks"]), row["quantity"]]
        assert row["n"] == 3
        assert row["mean"] == pytest.approx(np.exp(np.log(values).mean()), rel=1e-12)
        assert row["factor"] == pytest.approx(np.exp(np.log(values).std(ddof=1)), rel=1e-9)


def test_a_line_an_exponent_and_what_explodes_leaves_the_axis_with_a_mark(tmp_path):
    picture = draw(Request(sweep_of(tmp_path / "s")))
    figure, table = picture.figure, picture.table
    assert picture.note.endswith("above 10000, and off the axis: τ = 1")
    assert "leaves the axis" in labels(figure)
    for axes in figure.axes:
        lines = [line for line in axes.lines if line.get_marker() == "o"]
        (mark,) = [line for line in axes.lines if line.get_marker() == "^"]
        assert mark.get_ydata()[0] == axes.get_ylim()[1]
        assert mark.get_color() == lines[0].get_color()
        assert axes.get_xscale() == axes.get_yscale() == "log"
        assert [line.get_label() for line in lines] == [
            "τ = $1$", "τ = $L^{-1/4}$", "τ = $L^{-0.4}$", "τ = $L^{-1/2}$", "τ = $L^{-1}$",
        ]  # fmt: skip
        low, high = axes.get_ylim()
        assert high <= ROOM
        inside = [all(low < y < high for y in line.get_ydata()) for line in lines]
        assert inside == [False, True, True, True, True]
    assert len(table) == 40


def test_infinite_growth_is_left_out_of_the_means_and_counted(runs):
    changed = runs.copy()
    changed.loc[changed.index[0], "final_growth"] = np.inf
    table = growth(changed)
    assert sorted(table["n"]) == [2] + [3] * 39


def test_two_norms_at_one_point_are_two_lines(runs):
    changed = runs.copy()
    changed["arch.norm"] = ["batch" if seed else "none" for seed in changed["seed"]]
    changed.attrs = runs.attrs
    table = growth(changed)
    assert len(table) == 2 * 40
    assert set(zip(table["other"], table["n"], strict=True)) == {("norm batch", 2), ("norm none", 1)}
    lines = draw(Request(Sweep((), changed, changed.head(0)))).figure.axes[0].lines
    assert {
        (str(line.get_label()).partition(", ")[2], line.get_linestyle())
        for line in lines
        if ", " in str(line.get_label())
    } == {
        ("norm batch", "-"),
        ("norm none", "--"),
    }


def test_more_lines_than_styles_are_refused(runs):
    changed = pd.concat([runs.assign(**{"arch.width": width}) for width in range(1, 6)], ignore_index=True)
    changed.attrs = {**runs.attrs, "keys": [*runs.attrs["keys"], "arch.width"]}
    with pytest.raises(BadInput, match=r"cells that differ in arch.width, more than 4 of them; choose with --where"):
        growth(changed)


def test_trained_runs_are_refused_with_what_they_lack(tmp_path):
    with pytest.raises(BadInput, match="schedule=initialisation; they have no final_growth, final_stem_gradient"):
        growth(load(write_runs(tmp_path / "s", [configuration()]).path).runs)
