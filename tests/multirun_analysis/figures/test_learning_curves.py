"""Curves: means and bands are pandas', what diverges stays visible, and published numbers stand at the last epoch."""

import numpy as np
import pytest
from figure_parts import crosses, labels
from matplotlib.collections import FillBetweenPolyCollection
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, protocol_of, write_runs, write_sweep

from multirun_analysis import load
from multirun_analysis.cell.cells import number_of
from multirun_analysis.figures.learning_curves import curves, draw
from multirun_analysis.figures.picture import Request
from multirun_analysis.figures.style import render
from multirun_analysis.papers.published import published
from taunode.errors import BadInput


def drawn(sweep, **options):
    picture = draw(Request(sweep, "test_error", **options))
    return picture.figure, picture.table


def lines(axes):
    return [line for line in axes.lines if line.get_marker() == "None" and len(line.get_xdata()) > 2]


def test_a_row_a_cell_and_epoch_with_the_statistics_of_the_seeds(tmp_path):
    sweep = load(write_sweep(tmp_path / "s", depths=(20, 56), norms=("batch",), seeds=range(4), epochs=7).path)
    table = curves(sweep, "test_error")
    assert table.attrs["keys"] == ["arch.depth", "tau"]
    assert len(table) == 4 * 7
    joined = sweep.epochs.merge(sweep.runs[["run", "arch.depth", "tau"]], on="run")
    for row in table.to_dict("records"):
        chosen = (joined["arch.depth"] == row["arch.depth"]) & (joined["tau"] == row["tau"])
        values = joined["test_error"][chosen & (joined["epoch"] == row["epoch"])]
        assert row["n"] == 4
        assert row["mean"] == pytest.approx(np.mean(values), rel=1e-12)
        assert row["sd"] == pytest.approx(np.std(values, ddof=1), rel=1e-9)


def test_a_panel_a_norm_a_line_a_cell_and_its_band(tmp_path):
    sweep = load(write_sweep(tmp_path / "s", outcome=lambda _: Outcome(error=30.0)).path)
    figure, table = drawn(sweep)
    assert [axes.get_title() for axes in figure.axes] == ["norm batch", "norm none"]
    for axes in figure.axes:
        assert len(lines(axes)) == len([c for c in axes.collections if isinstance(c, FillBetweenPolyCollection)]) == 6
        assert len({(line.get_color(), line.get_linestyle()) for line in lines(axes)}) == 6
    ends = sorted(float(line.get_ydata()[-1]) for axes in figure.axes for line in lines(axes))
    assert ends == pytest.approx(sorted(table.groupby(level=0)["mean"].last()))


def test_the_axis_is_logarithmic_where_the_metric_falls_far(tmp_path):
    for error, scale in ((1.0, "log"), (40.0, "linear")):
        sweep = write_runs(tmp_path / scale, [configuration()], lambda _, e=error: Outcome(error=e))
        assert drawn(load(sweep.path))[0].axes[0].get_yscale() == scale


def test_what_diverges_has_a_cross_at_its_last_whole_epoch(tmp_path):
    configs = [configuration(seed=seed, epochs=8) for seed in range(3)]
    ends = [Outcome("diverged", 5.0, whole=3), Outcome("diverged", 5.0, whole=4), Outcome(error=5.0)]
    sweep = load(write_runs(tmp_path / "s", configs, lambda config: ends[config["seed"]]).path)
    figure, table = drawn(sweep)
    assert table["n"].tolist() == [3, 3, 3, 2, 1, 1, 1, 1]
    (crosses,) = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert list(crosses.get_xdata()) == [3, 4]


def test_what_diverges_before_its_first_epoch_is_over_is_a_cross_above_the_axes(tmp_path):
    configs = [configuration(20, seed=seed) for seed in range(2)] + [configuration(56, seed=0)]
    ends = {20: Outcome(error=5.0), 56: Outcome("diverged", whole=0)}
    sweep = load(write_runs(tmp_path / "s", configs, lambda config: ends[config["arch"]["depth"]]).path)
    (axes,) = drawn(sweep)[0].axes
    assert crosses(axes) == [(1.0, pytest.approx(1.03))]
    assert {"depth 56", "diverged"} <= set(labels(drawn(sweep)[0]))


def test_many_lines_have_no_bands(tmp_path):
    taus = ((1.0, 0.0), (1.0, 0.25), (1.0, 0.4), (1.0, 0.5), (1.0, 1.0), (0.5, 0.5), (2.0, 0.5))
    sweep = load(write_sweep(tmp_path / "s", (20,), taus, ("batch",)).path)
    (axes,) = drawn(sweep)[0].axes
    assert len(lines(axes)) == 7
    assert not [c for c in axes.collections if isinstance(c, FillBetweenPolyCollection)]


def test_published_numbers_are_marked_in_the_colour_of_their_line(tmp_path):
    numbers = [n for n in published() if n.figure == "flow-1a" and n.value == "final_test_error"]
    configs = [protocol_of(number, seed) for number in numbers for seed in range(2)]
    sweep = load(write_runs(tmp_path / "s", configs, lambda _: Outcome(error=2.0)).path)
    places = zip(sweep.runs["arch._target_"], sweep.runs["arch.layers"], strict=True)
    cell = dict(zip(places, number_of(sweep.runs), strict=True))
    pairs = [(n, cell[n.position["arch._target_"], n.position["arch.layers"]]) for n in numbers]
    figure, _ = drawn(sweep, published=tuple(pairs))
    assert [axes.get_title() for axes in figure.axes] == ["RKHS", "SHL"]
    for axes, name in zip(figure.axes, ("Rkhs", "Shl"), strict=True):
        marks = [line for line in axes.lines if line.get_marker() == "D"]
        expected = [number.mean for number in numbers if name in number.position["arch._target_"]]
        assert [float(mark.get_ydata()[0]) for mark in marks] == expected
        assert [mark.get_color() for mark in marks] == [line.get_color() for line in lines(axes)]
        assert all(40 < float(mark.get_xdata()[0]) < 44 for mark in marks)


def test_a_wrong_metric_is_answered_with_the_nearest_and_a_planned_sweep_with_the_reason(tmp_path):
    sweep = load(write_runs(tmp_path / "s", [configuration()]).path)
    with pytest.raises(BadInput, match=r"'test_eror' .* nearest: test_error"):
        curves(sweep, "test_eror")
    planned = load(write_runs(tmp_path / "p", [configuration()], lambda _: Outcome("planned")).path)
    with pytest.raises(BadInput, match="no run has an epoch yet"):
        curves(planned, "test_error")


def test_the_same_sweep_gives_the_same_bytes(tmp_path):
    path = write_sweep(tmp_path / "s", taus=(ONE, INVERSE_SQRT)).path
    assert render(drawn(load(path))[0], "pdf") == render(drawn(load(path))[0], "pdf")
