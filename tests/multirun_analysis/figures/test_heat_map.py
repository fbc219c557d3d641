"""The heat map: a rectangle a position, its number or the reason why there is none."""

import pytest
from matplotlib.patches import Rectangle
from shapes import SHAPES
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs

from multirun_analysis import load
from multirun_analysis.figures.picture import Request
from multirun_analysis.figures.registry import draw
from taunode.errors import BadInput


def test_every_position_has_a_colour_and_its_number_or_says_why_not(grid_sweep):
    drawn = draw("heat-map", Request(load(grid_sweep)))
    for axes, norm in zip(drawn.figure.axes, ("batch", "none"), strict=True):
        cells = drawn.table[drawn.table["arch.norm"] == norm]
        texts = sorted(text.get_text() for text in axes.texts)
        expected = [
            "diverged 2/2" if not n else f"{mean:.2f}" for n, mean in zip(cells["n"], cells["mean"], strict=True)
        ]
        assert texts == sorted(expected)
        assert len([patch for patch in axes.patches if isinstance(patch, Rectangle)]) == 6


def test_larger_means_are_darker_and_holes_are_said(tmp_path):
    configs = [configuration(20, ONE), configuration(56, ONE), configuration(20, INVERSE_SQRT)]
    sweep = write_runs(tmp_path / "s", configs, lambda config: Outcome(error=config["arch"]["depth"] / 2))
    (axes,) = draw("heat-map", Request(load(sweep.path))).figure.axes
    patches = {(patch.get_x() + 0.5, patch.get_y() + 0.5): patch for patch in axes.patches}
    assert sum(patches[0, 1].get_facecolor()[:3]) < sum(patches[0, 0].get_facecolor()[:3])
    assert "–" in [text.get_text() for text in axes.texts]


def test_any_two_keys_are_rows_and_columns(tmp_path):
    SHAPES["solver × layers"](tmp_path / "s")
    (axes,) = draw("heat-map", Request(load(tmp_path / "s"))).figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["5", "10", "20"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["euler", "midpoint", "rk4"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("method", "layers")


def test_one_key_is_no_map(tmp_path):
    SHAPES["one word"](tmp_path / "s")
    with pytest.raises(BadInput, match="two keys"):
        draw("heat-map", Request(load(tmp_path / "s")))
