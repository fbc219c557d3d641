"""Ranks: who is best, in how many settings, and which settings count."""

import pytest
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs, write_sweep

from multirun_analysis import cells, load, table
from multirun_analysis.cell.ranks import ranks


def found(path, value="final_test_error"):
    return ranks(cells(load(path).runs, value), "tau", ["arch.depth", "arch.norm"])


def test_what_diverged_is_worse_than_anything(grid_sweep):
    counted = found(grid_sweep)
    assert (counted.settings, counted.left_out) == ({"1": 6, "L^-1/2": 6}, 0)
    assert counted.best["L^-1/2"] == 6
    assert counted.mean_rank["L^-1/2"] < counted.mean_rank["1"]
    assert str(counted) == "best: τ = L^-1/2 in 6 of 6 settings of depth × norm"
    assert str(counted) in table(load(grid_sweep)).note


def test_where_all_diverged_none_is_the_best(tmp_path):
    def outcome(config):
        one = config["tau"]["exponent"] == 0
        return Outcome(error=6.0 - one) if config["arch"]["depth"] == 20 else Outcome("diverged")

    counted = found(write_sweep(tmp_path / "s", outcome=outcome).path)
    assert counted.best == {"1": 2, "L^-1/2": 0}
    assert counted.settings == {"1": 6, "L^-1/2": 6}


def test_equal_means_are_both_the_best(tmp_path):
    sweep = write_sweep(tmp_path / "s", outcome=lambda _: Outcome(error=5.0))
    assert found(sweep.path).best == {"1": 6, "L^-1/2": 6}
    assert found(sweep.path).mean_rank == {"1": 1.5, "L^-1/2": 1.5}


def test_settings_without_a_result_of_every_value_are_left_out(tmp_path):
    def outcome(config):
        one = config["tau"]["exponent"] == 0
        return Outcome("planned") if one and config["arch"]["depth"] == 20 else Outcome(error=5.0 + one)

    counted = found(write_sweep(tmp_path / "s", outcome=outcome).path)
    assert (counted.left_out, counted.best) == (2, {"1": 0, "L^-1/2": 4})
    assert str(counted) == "best: τ = L^-1/2 in 4 of 4 settings of depth × norm; 2 more are not complete"


def test_values_are_compared_where_they_occur(tmp_path):
    """Without norm τ is learned, with it it is not: no setting has both."""
    sweep = write_sweep(tmp_path / "s", outcome=lambda c: Outcome(error=5.0 + (c["tau"]["exponent"] == 0)))
    table = cells(load(sweep.path).runs)
    learned = table["arch.norm"].map({"batch": "", "none": " learned"})
    table["tau"] = table["tau"].astype("str") + learned
    counted = ranks(table, "tau", ["arch.depth", "arch.norm"])
    assert counted.settings == dict.fromkeys(("1", "L^-1/2", "1 learned", "L^-1/2 learned"), 3)
    assert str(counted) == "best: τ = L^-1/2 in 3 of 3, τ = L^-1/2 learned in 3 of 3 settings of depth × norm"


@pytest.mark.parametrize("value", ["seconds", "parameters"])
def test_what_has_no_better_has_no_best(grid_sweep, value):
    assert found(grid_sweep, value) is None


def test_one_setting_is_no_summary(tmp_path):
    sweep = write_runs(tmp_path / "s", [configuration(tau=tau) for tau in (ONE, INVERSE_SQRT)])
    assert found(sweep.path) is None
