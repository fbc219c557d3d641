"""Error against wall time: a point a cell that finished, at the means of both."""

import pytest
from synthetic import Outcome, configuration, write_runs

from multirun_analysis import cells, load
from multirun_analysis.figures.picture import Request
from multirun_analysis.figures.registry import draw
from taunode.errors import BadInput


def test_bars_end_at_the_axis(tmp_path):
    errors = [0.5, 90.0]
    sweep = write_runs(
        tmp_path / "s", [configuration(seed=seed) for seed in (0, 1)], lambda c: Outcome(error=errors[c["seed"]])
    )
    drawn = draw("wall-time", Request(load(sweep.path)))
    (axes,) = drawn.figure.axes
    for container in axes.containers:
        for bars in container.lines[2]:
            assert all((segment >= 0).all() for segment in bars.get_segments())


def test_a_point_a_cell_at_its_means(grid_sweep):
    runs = load(grid_sweep).runs
    drawn = draw("wall-time", Request(load(grid_sweep)))
    lines = [container.lines[0] for axes in drawn.figure.axes for container in axes.containers]
    points = sorted(point for line in lines for point in zip(*map(list, line.get_data()), strict=True))
    errors, seconds = cells(runs), cells(runs, "seconds")
    expected = sorted((t, e) for t, e, n in zip(seconds["mean"], errors["mean"], errors["n"], strict=True) if n)
    assert len(points) == 9  # three of the twelve diverged
    assert [time for time, _ in points] == pytest.approx([time for time, _ in expected])
    assert [error for _, error in points] == pytest.approx([error for _, error in expected])
    assert {"seconds", "seconds_sd"} <= set(drawn.table.columns)


def test_without_a_finished_run_there_is_nothing_to_draw(tmp_path):
    sweep = write_runs(tmp_path / "s", [configuration()], lambda _: Outcome("planned"))
    with pytest.raises(BadInput, match="wall-time needs finished runs; none has final_test_error and seconds"):
        draw("wall-time", Request(load(sweep.path)))
