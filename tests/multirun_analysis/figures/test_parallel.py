"""Parallel coordinates: a line a cell, through its values, to its mean or above all of them."""

import numpy as np
import pytest
from shapes import SHAPES
from synthetic import configuration, write_runs

from multirun_analysis import figure, load
from taunode.errors import BadInput


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    path = tmp_path_factory.mktemp("parallel") / "s"
    SHAPES["lr × depth"](path)
    return load(path)


def test_a_line_a_cell_and_good_ones_last(rates):
    picture = figure(rates, "parallel")
    (axes,) = picture.figure.axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert len(lines) == len(picture.table) == 18
    ends = [line.get_ydata()[-1] for line in sorted(lines, key=lambda line: line.get_zorder())]
    means = picture.table["mean"].dropna()
    expected = sorted(((means - means.min()) / np.ptp(means)).tolist(), reverse=True)
    assert ends[1:] == pytest.approx(expected)
    assert ends[0] > 1  # it diverged
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["depth", "lr", "final test error (%)"]
    assert "diverged" in [text.get_text() for text in axes.texts]


def test_an_axis_has_its_values_in_order(rates):
    (axes,) = figure(rates, "parallel").figure.axes
    depths = {text.get_text(): text.get_position()[1] for text in axes.texts if text.get_text() in ("20", "56", "110")}
    assert depths == {"20": 0.0, "56": 0.5, "110": 1.0}


def test_cells_that_differ_in_nothing_are_refused(tmp_path):
    with pytest.raises(BadInput, match="differ in a key"):
        figure(load(write_runs(tmp_path / "s", [configuration()]).path), "parallel")
