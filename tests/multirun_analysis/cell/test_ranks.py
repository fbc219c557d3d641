"""Ranks: who is best, in how many settings, and which settings count."""

import pytest
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs, write_sweep

from multirun_analysis import cells, load, table
from multirun_analysis.cell.ranks import ranks


def found(path, value="final_test_error"):
    return ranks(cells(load(path).runs, value), "tau", ["arch.depth", "arch.norm"])


def test_what_diverged_is_worse_than_anything(grid_sweep):
    counted = found(grid_sweep)
    assert (counted.settings, counted.left_out) == (6, 0)
    assert counted.best["L^-1/2"] == 6
    assert counted.mean_rank["L^-1/2"] < counted.mean_rank["1"]
    assert str(counted) == "τ = L^-1/2 is best in 6 of 6 settings (depth × norm)"
    assert str(counted) in table(load(grid_sweep)).note


def test_equal_means_are_both_the_best(tmp_path):
    sweep = write_sweep(tmp_path / "s", outcome=lambda _: Outcome(error=5.0))
    assert found(sweep.path).best == {"1": 6, "L^-1/2": 6}
    assert found(sweep.path).mean_rank == {"1": 1.5, "L^-1/2": 1.5}


def test_settings_without_a_result_of_every_value_are_left_out(tmp_path):
    def outcome(config):
        one = config["tau"]["exponent"] == 0
        return Outcome("planned") if one and config["arch"]["depth"] == 20 else Outcome(error=5.0 + one)

    counted = found(write_sweep(tmp_path / "s", outcome=outcome).path)
    assert (counted.settings, counted.left_out, counted.best) == (4, 2, {"1": 0, "L^-1/2": 4})
    assert str(counted).endswith("is best in 4 of 4 settings (depth × norm); 2 more are not complete")


@pytest.mark.parametrize("value", ["seconds", "parameters"])
def test_what_has_no_better_has_no_best(grid_sweep, value):
    assert found(grid_sweep, value) is None


def test_one_setting_is_no_summary(tmp_path):
    sweep = write_runs(tmp_path / "s", [configuration(tau=tau) for tau in (ONE, INVERSE_SQRT)])
    assert found(sweep.path) is None
