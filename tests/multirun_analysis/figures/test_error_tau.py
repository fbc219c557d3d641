"""Error against τ: the points are the cells, and what diverged stands at the top."""

import pytest
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, protocol_of, write_runs, write_sweep

from multirun_analysis import load
from multirun_analysis.figures.registry import draw
from multirun_analysis.papers.published import published
from taunode.errors import BadInput


def test_a_line_a_depth_through_the_means_of_its_cells(tmp_path):
    taus = (ONE, (1.0, 0.25), INVERSE_SQRT)
    drawn = draw(load(write_sweep(tmp_path / "s", (20, 56), taus, ("batch",)).path), "error-tau")
    (axes,) = drawn.figure.axes
    assert axes.get_xscale() == "log"
    assert [container.get_label() for container in axes.containers] == ["depth 20", "depth 56"]
    for container, depth in zip(axes.containers, (20, 56), strict=True):
        x, y = container.lines[0].get_data()
        table = drawn.table[drawn.table["arch.depth"] == depth].sort_values("tau_value")
        assert list(x) == pytest.approx(list(table["tau_value"]))
        assert list(y) == pytest.approx(list(table["mean"]))


def test_what_diverged_is_a_cross_above_all_means(grid_sweep):
    drawn = draw(load(grid_sweep), "error-tau")
    batch, none = drawn.figure.axes
    crosses = [line for line in none.lines if line.get_marker() == "x"]
    assert len(crosses) == 3
    assert min(line.get_ydata()[0] for line in crosses) > drawn.table["mean"].max()
    assert max(line.get_ydata()[0] for line in crosses) < none.get_ylim()[1]
    assert not [line for line in batch.lines if line.get_marker() == "x"]


def test_networks_without_tau_are_refused(tmp_path):
    flow = next(number for number in published() if number.figure == "flow-1a")
    sweep = write_runs(tmp_path / "s", [protocol_of(flow, 0)], lambda _: Outcome(error=2.0))
    with pytest.raises(BadInput, match="error-tau needs runs with a τ"):
        draw(load(sweep.path), "error-tau")


def test_a_planned_sweep_is_drawn(tmp_path):
    sweep = write_runs(tmp_path / "s", [configuration()], lambda _: Outcome("planned"))
    assert draw(load(sweep.path), "error-tau").figure.axes
