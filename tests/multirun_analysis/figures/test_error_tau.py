"""Error against τ: the points are the cells, fixed and learned are apart, and what diverged stands above."""

import numpy as np
import pytest
from figure_parts import all_points, crosses, points
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, protocol_of, write_runs, write_sweep

from multirun_analysis import load
from multirun_analysis.figures.picture import Request
from multirun_analysis.figures.registry import draw
from multirun_analysis.papers.published import published
from taunode.errors import BadInput


def test_a_line_a_depth_through_the_means_of_its_cells(tmp_path):
    taus = (ONE, (1.0, 0.25), INVERSE_SQRT)
    sweep = load(write_sweep(tmp_path / "s", (20, 56), taus, ("batch",)).path)
    picture = draw("error-tau", Request(sweep))
    (axes,) = picture.figure.axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in picture.figure.legends[0].get_texts()] == ["depth 20", "depth 56"]
    np.testing.assert_allclose(all_points(axes), picture.table[["x", "mean"]].sort_values(["x", "mean"]))


def test_fixed_and_learned_tau_are_different_lines(tmp_path):
    configs = [configuration(20, tau, seed=seed) for tau in (ONE, INVERSE_SQRT) for seed in (0, 1)]
    learned = [config | {"tau": config["tau"] | {"learn": "shared"}} for config in configs]
    sweep = load(write_runs(tmp_path / "s", configs + learned, lambda _: Outcome(error=5.0)).path)
    picture = draw("error-tau", Request(sweep))
    (axes,) = picture.figure.axes
    assert len(points(axes)) == 2
    assert axes.get_xlabel() == "τ (where it is learned, its start)"
    labels = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert labels == ["learn none", "learn shared"]


def test_what_diverged_is_a_cross_above_the_axes(grid_sweep):
    batch, none = draw("error-tau", Request(load(grid_sweep))).figure.axes
    assert len(crosses(none)) == 3
    assert all(1 < y < 1.3 for _, y in crosses(none))
    assert crosses(batch) == []
    assert "diverged" in [text.get_text() for text in none.texts]


def test_networks_without_tau_or_with_one_are_refused(tmp_path):
    flow = next(number for number in published() if number.figure == "flow-1a")
    sweep = write_runs(tmp_path / "s", [protocol_of(flow, 0)], lambda _: Outcome(error=2.0))
    with pytest.raises(BadInput, match="error-tau needs runs with a τ"):
        draw("error-tau", Request(load(sweep.path)))
    with pytest.raises(BadInput, match="error-tau needs several values of τ"):
        draw("error-tau", Request(load(write_runs(tmp_path / "t", [configuration()]).path)))
