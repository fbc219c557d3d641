"""The grid of a figure: every cell has its place, and no place two cells."""

import re

import pytest
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs, write_sweep

from multirun_analysis import cells, load
from multirun_analysis.cell import grid as of_figures
from taunode.errors import BadInput
from taunode.runs.where import Where


def grid(cells):
    return of_figures.grid(cells, ["arch.depth"], ["arch.norm"], ["tau"])


def sweep_of(path, configs, outcome=lambda _: Outcome(error=1.0)):
    return load(write_runs(path, configs, outcome).path).runs


def test_every_cell_is_at_its_place(grid_sweep):
    found = cells(load(grid_sweep).runs)
    layout = grid(found)
    assert layout.along == (("20",), ("56",), ("110",))
    assert layout.panels == (("batch",), ("none",))
    assert layout.lines == (("1",), ("L^-1/2",))
    for _, cell in found.iterrows():
        assert layout.at((str(cell["arch.depth"]),), (cell["arch.norm"],), (cell["tau"],)).equals(cell)


def test_columns_are_those_that_occur(tmp_path):
    configs = [configuration(norm="batch", tau=ONE), configuration(norm="none", tau=INVERSE_SQRT, depth=56)]
    layout = grid(cells(sweep_of(tmp_path / "s", configs)))
    assert [layout.lines_of(panel) for panel in layout.panels] == [[("1",)], [("L^-1/2",)]]
    assert layout.at(("20",), ("none",), ("L^-1/2",)) is None


def test_taus_are_ordered_over_all_depths(tmp_path):
    configs = [configuration(depth=20, tau=INVERSE_SQRT), configuration(depth=110, tau=ONE)]
    configs += [configuration(depth=20, tau=(0.5, 0.0)), configuration(depth=110, tau=(0.5, 0.5))]
    assert grid(cells(sweep_of(tmp_path / "s", configs))).lines == (*(("1",), ("0.5",), ("L^-1/2",), ("0.5·L^-1/2",)),)


def _longer(config):
    config["schedule"]["epochs"] = 9


def _milestones(config):
    config["schedule"]["milestones"] = [1, 2]


def _precision(config):
    config["precision"] = "bf16"


def _new_key(config):
    config["arch"]["width"] = 2


@pytest.mark.parametrize("change", [_longer, _milestones, _precision, _new_key])
def test_two_cells_at_one_place_are_refused_with_the_key_and_advice_that_works(tmp_path, change):
    configs = [configuration(seed=seed) for seed in range(2)]
    change(configs[1])
    runs = sweep_of(tmp_path / "s", configs)
    with pytest.raises(BadInput, match="depth 20, norm batch, τ 1 would hold 2 cells") as raised:
        grid(cells(runs))
    advice = re.search(r"--where '(.*)'$", str(raised.value))[1]
    Where(advice)
    assert len(cells(load(tmp_path / "s", where=advice).runs)) == 1


def test_the_error_names_all_keys_that_differ(tmp_path):
    configs = [configuration(epochs=epochs) for epochs in (5, 20)]
    with pytest.raises(BadInput, match=r"schedule.epochs \(5, 20\), schedule.milestones \(\[2, 3\], \[10, 15\]\)"):
        grid(cells(sweep_of(tmp_path / "s", configs)))


def test_runs_without_depth_or_norm_have_a_place_too(tmp_path):
    config = configuration()
    del config["arch"]["norm"]
    runs = sweep_of(tmp_path / "s", [config]).drop(columns="arch.depth")
    runs.attrs["keys"] = [key for key in runs.attrs["keys"] if key != "arch.depth"]
    layout = grid(cells(runs))
    assert layout.at(("–",), ("–",), ("1",)) is not None


def test_the_grid_is_the_same_whatever_the_order_of_the_runs(tmp_path):
    sweep = write_sweep(tmp_path / "s")
    runs = load(sweep.path).runs
    shuffled, straight = grid(cells(runs.sample(frac=1, random_state=0))), grid(cells(runs))
    assert (shuffled.along, shuffled.panels, shuffled.lines) == (straight.along, straight.panels, straight.lines)
