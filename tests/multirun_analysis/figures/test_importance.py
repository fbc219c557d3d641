"""Importance: bars are the shares that the statistics give, and what is left out is said."""

import pytest
from shapes import SHAPES

from multirun_analysis import figure, load
from taunode.errors import BadInput


def test_bars_are_the_shares(tmp_path):
    SHAPES["lr × depth"](tmp_path / "s")
    picture = figure(load(tmp_path / "s"), "importance")
    (axes,) = picture.figure.axes
    table = picture.table.set_index("key")
    assert list(table.index) == ["lr", "depth", "interactions and seeds"]
    widths = sorted(patch.get_width() for patch in axes.patches)
    expected = [*(100 * table["alone"].dropna()), *(100 * table["beside the others"])]
    assert widths == pytest.approx(sorted(expected))
    assert picture.note.endswith("over 17 cells; 1 cells without a value are left out")


def test_one_key_explains_everything_and_is_refused(tmp_path):
    SHAPES["one number"](tmp_path / "s")
    with pytest.raises(BadInput, match="differ in two keys"):
        figure(load(tmp_path / "s"), "importance")
