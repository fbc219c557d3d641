"""The registry: each sweep asks for its figure, help and README list them all, and a wrong name is answered."""

import re
from pathlib import Path

import pytest
from synthetic import Outcome, configuration, protocol_of, write_initialisations, write_runs

from multirun_analysis import load
from multirun_analysis.figures import registry
from multirun_analysis.figures.picture import Request
from multirun_analysis.papers.published import published
from taunode.errors import BadInput

ROOT = Path(__file__).parents[3]


def test_each_sweep_asks_for_its_figure(tmp_path):
    flow = next(number for number in published() if number.figure == "flow-1a")
    sweeps = {
        "error-depth": write_runs(tmp_path / "depth", [configuration()]),
        "curves": write_runs(tmp_path / "flow", [protocol_of(flow, 0)], lambda _: Outcome(error=2.0)),
        "forward-stability": write_initialisations(tmp_path / "initialisation", (0.0, 0.5)),
    }
    for name, sweep in sweeps.items():
        loaded = load(sweep.path)
        assert registry.choose(loaded) == name
        drawn = registry.draw(name, Request(loaded))
        assert len(drawn.table)
        assert str(sweep.path) in drawn.note


def test_a_wrong_name_is_answered_with_the_names(grid_sweep):
    with pytest.raises(BadInput, match="'error-dept' is not a figure; nearest: error-depth, error-"):
        registry.draw("error-dept", Request(load(grid_sweep)))


def test_readme_lists_every_figure_in_the_registrys_words():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", text, re.MULTILINE)
    assert [row for row in listed if row[0] in registry.FIGURES] == [
        (name, entry.says) for name, entry in registry.FIGURES.items()
    ]


def test_every_figure_is_a_module_with_one_drawing():
    modules = {path.stem for path in (ROOT / "multirun_analysis" / "figures").glob("*.py")}
    assert {entry.module for entry in registry.FIGURES.values()} == modules - {
        "__init__", "panels", "picture", "registry", "style",
    }  # fmt: skip
