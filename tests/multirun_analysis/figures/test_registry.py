"""The gallery: each sweep asks for its figure, and a wrong name is answered with the names."""

import pytest
from synthetic import Outcome, configuration, protocol_of, write_initialisations, write_runs

from multirun_analysis import load
from multirun_analysis.figures.registry import FIGURES, choose, draw
from multirun_analysis.papers.published import published
from taunode.errors import BadInput


def test_each_sweep_asks_for_its_figure(tmp_path):
    flow = next(number for number in published() if number.figure == "flow-1a")
    sweeps = {
        "error-depth": write_runs(tmp_path / "depth", [configuration()]),
        "curves": write_runs(tmp_path / "flow", [protocol_of(flow, 0)], lambda _: Outcome(error=2.0)),
        "forward-stability": write_initialisations(tmp_path / "initialisation", (0.0, 0.5)),
    }
    for name, sweep in sweeps.items():
        loaded = load(sweep.path)
        assert choose(loaded) == name
        drawn = draw(loaded, name)
        assert len(drawn.table)
        assert str(sweep.path) in drawn.note


def test_a_wrong_name_is_answered_with_the_names(grid_sweep):
    with pytest.raises(
        BadInput, match="'bars' is not a figure; valid: error-depth, error-tau, heat-map, wall-time, curves"
    ):
        draw(load(grid_sweep), "bars")


def test_every_figure_says_what_it_shows():
    assert all(function.__doc__ for function in FIGURES.values())
