"""Error against wall time: a point a cell that finished, at the means of both."""

import pytest
from synthetic import Outcome, configuration, write_runs

from multirun_analysis import cells, load
from multirun_analysis.figures.registry import draw
from taunode.errors import BadInput


def test_a_point_a_cell_at_its_means(grid_sweep):
    runs = load(grid_sweep).runs
    drawn = draw(load(grid_sweep), "wall-time")
    (axes,) = drawn.figure.axes
    points = sorted((float(c.lines[0].get_xdata()[0]), float(c.lines[0].get_ydata()[0])) for c in axes.containers)
    errors, seconds = cells(runs), cells(runs, "seconds")
    expected = sorted((t, e) for t, e, n in zip(seconds["mean"], errors["mean"], errors["n"], strict=True) if n)
    assert len(points) == 9  # three of the twelve diverged
    assert [time for time, _ in points] == pytest.approx([time for time, _ in expected])
    assert [error for _, error in points] == pytest.approx([error for _, error in expected])
    assert {"seconds", "seconds_sd"} <= set(drawn.table.columns)


def test_without_a_finished_run_there_is_nothing_to_draw(tmp_path):
    sweep = write_runs(tmp_path / "s", [configuration()], lambda _: Outcome("planned"))
    with pytest.raises(BadInput, match="wall-time needs finished runs; none has final_test_error and seconds"):
        draw(load(sweep.path), "wall-time")
