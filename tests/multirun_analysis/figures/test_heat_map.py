"""The heat map: a rectangle a position, its number or the reason why there is none."""

from matplotlib.patches import Rectangle
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs

from multirun_analysis import load
from multirun_analysis.figures.registry import draw


def test_every_position_has_a_colour_and_its_number_or_says_why_not(grid_sweep):
    drawn = draw(load(grid_sweep), "heat-map")
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
    (axes,) = draw(load(sweep.path), "heat-map").figure.axes
    patches = {(patch.get_x() + 0.5, patch.get_y() + 0.5): patch for patch in axes.patches}
    assert sum(patches[0, 1].get_facecolor()[:3]) < sum(patches[0, 0].get_facecolor()[:3])
    assert "–" in [text.get_text() for text in axes.texts]
