"""Cells: the statistics are numpy's, and every run of the sweep is counted somewhere."""

import numpy as np
import pandas as pd
import pytest
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs, write_sweep

from multirun_analysis import cells, load
from multirun_analysis.stats.intervals import median_interval
from taunode.errors import BadInput

HALF = (0.5, 0.5)


def loaded(path, configs, outcome):
    return load(write_runs(path / "s", configs, outcome).path).runs


def test_mean_and_sd_are_those_of_the_seeds(tmp_path):
    errors = np.random.default_rng(0).uniform(1, 9, size=12)
    runs = loaded(tmp_path, [configuration(seed=s) for s in range(12)], lambda c: Outcome(error=errors[c["seed"]]))
    (cell,) = cells(runs).to_dict("records")
    assert cell["n"] == cell["runs"] == cell["finished"] == 12
    assert cell["mean"] == pytest.approx(np.mean(errors), rel=1e-12)
    assert cell["sd"] == pytest.approx(np.std(errors, ddof=1), rel=1e-12)
    assert "seed" not in cell


def test_interval_median_and_best_are_scipys(tmp_path):
    stats = pytest.importorskip("scipy.stats")
    errors = np.random.default_rng(1).uniform(1, 9, size=5)
    runs = loaded(tmp_path, [configuration(seed=s) for s in range(5)], lambda c: Outcome(error=errors[c["seed"]]))
    (cell,) = cells(runs).to_dict("records")
    low, high = stats.t.interval(0.95, 4, loc=errors.mean(), scale=stats.sem(errors))
    assert (cell["low"], cell["high"]) == (pytest.approx(low, rel=1e-12), pytest.approx(high, rel=1e-12))
    assert (cell["median"], cell["best"]) == (np.median(errors), errors.min())


def test_intervals_are_within_what_an_error_can_be_and_there_is_none_of_two_seeds(tmp_path):
    errors = {20: [1.0, 9.0, 8.0], 56: [2.0, 98.0], 110: [99.0, 60.0, 95.0]}
    configs = [configuration(depth, seed=seed) for depth, found in errors.items() for seed in range(len(found))]
    found = cells(loaded(tmp_path, configs, lambda c: Outcome(error=errors[c["arch"]["depth"]][c["seed"]])))
    assert found["low"].tolist()[::2] == [0, pytest.approx(31.4, abs=0.1)]
    assert found["high"].tolist()[::2] == [pytest.approx(16.8, abs=0.1), 100]
    assert found.loc[1, ["low", "high", "median_low", "median_high"]].isna().all()


def test_medians_have_the_bootstraps_interval(tmp_path):
    errors = np.random.default_rng(2).uniform(1, 9, size=(3, 6))
    configs = [configuration(depth, seed=seed) for depth in (20, 32, 44) for seed in range(6)]

    def outcome(config):
        depth, seed = (config["arch"]["depth"] - 20) // 12, config["seed"]
        return Outcome("failed") if (depth, seed) == (1, 5) else Outcome(error=errors[depth, seed])

    found = cells(loaded(tmp_path, configs, outcome))
    for row, values in zip(found.to_dict("records"), (errors[0], errors[1, :5], errors[2]), strict=True):
        low, high = median_interval(values[None])
        assert (row["median_low"], row["median_high"]) == (low[0], high[0])


def test_a_seed_that_follows_the_seed_tells_no_cells_apart(tmp_path):
    following, fixed = ([configuration(seed=seed) for seed in range(3)] for _ in range(2))
    for config in following:
        config["dataset"]["seed"] = config["seed"]
    assert cells(loaded(tmp_path / "a", following, lambda _: Outcome(error=1.0)))["n"].tolist() == [3]
    for config, other in zip(fixed, (1, 1, 2), strict=True):
        config["dataset"]["seed"] = other
    assert sorted(cells(loaded(tmp_path / "b", fixed, lambda _: Outcome(error=1.0)))["n"]) == [1, 2]


def test_of_an_accuracy_the_highest_is_the_best(tmp_path):
    runs = loaded(tmp_path, [configuration(seed=s) for s in range(3)], lambda c: Outcome(error=1.0))
    runs["final_test_accuracy"] = [80.0, 90.0, 85.0]
    assert cells(runs, "final_test_accuracy")["best"].tolist() == [90.0]


def test_one_run_has_no_sd(tmp_path):
    (cell,) = cells(loaded(tmp_path, [configuration()], lambda _: Outcome(error=4.0))).to_dict("records")
    assert (cell["n"], cell["mean"]) == (1, 4.0)
    assert np.isnan([cell["sd"], cell["low"], cell["high"]]).all()


def test_no_state_gets_lost_and_only_done_runs_have_values(tmp_path):
    states = ["done", "done", "diverged", "planned", "planned", "failed", "running"]
    runs = loaded(
        tmp_path,
        [configuration(seed=seed) for seed in range(7)],
        lambda c: Outcome(states[c["seed"]], 10.0 + c["seed"]),
    )
    (cell,) = cells(runs).to_dict("records")
    assert (cell["n"], cell["finished"], cell["diverged"], cell["runs"]) == (2, 3, 1, 7)
    assert cell["mean"] == 10.5
    assert cell["unfinished"] == "2 planned, 1 running, 1 failed"
    assert cells(runs, "seconds")["n"].tolist() == [2]


def test_a_sweep_without_results_has_cells_without_values(tmp_path):
    for state in ("planned", "diverged"):
        runs = load(write_runs(tmp_path / state, [configuration()], lambda _, s=state: Outcome(s)).path).runs
        (cell,) = cells(runs).to_dict("records")
        assert (cell["n"], cell["runs"]) == (0, 1)
        assert np.isnan(cell["mean"])


def test_cells_are_told_apart_by_every_scientific_key_and_by_no_other(tmp_path):
    plain = [configuration(seed=seed) for seed in range(2)]
    saving = [configuration(seed=seed) for seed in range(2, 4)]
    for config in saving:
        config["arch"]["checkpoint_segments"] = 4
        config["dataset"]["train"] = "elsewhere"
        config["tau"]["scale"] = 1
    listed = configuration(seed=0)
    listed["schedule"]["milestones"] = [1]
    keyed = configuration(seed=0)
    keyed["arch"]["width"] = 2
    found = cells(loaded(tmp_path, [*plain, *saving, listed, keyed], lambda _: Outcome(error=1.0)))
    assert sorted(found["runs"]) == [1, 1, 4]


def test_depth_ascends_and_tau_descends(tmp_path):
    sweep = write_sweep(
        tmp_path / "s", depths=(110, 20), taus=(HALF, INVERSE_SQRT, (0.136, 0.0), ONE), norms=("none", "batch")
    )
    found = cells(load(sweep.path).runs)
    assert found["arch.depth"].tolist() == [20] * 8 + [110] * 8
    assert found["tau"].tolist()[:8] == ["1", "1", "0.136", "0.136", "L^-1/2", "L^-1/2", "0.5·L^-1/2", "0.5·L^-1/2"]
    assert found["arch.norm"].tolist()[:2] == ["batch", "none"]


def test_rows_can_be_selected_first(grid_sweep):
    runs = load(grid_sweep).runs
    assert cells(runs[runs["seed"] == 0])["runs"].tolist() == [1] * 12
    assert cells(runs.query("`arch.depth` == 20"))["runs"].tolist() == [2] * 4
    assert cells(runs[runs["seed"] > 9]).empty


def test_a_wrong_value_is_answered_with_the_nearest(grid_sweep):
    runs = load(grid_sweep).runs
    with pytest.raises(BadInput, match=r"'final_error' .* nearest: final_test_error"):
        cells(runs, "final_error")
    with pytest.raises(BadInput, match=r"'arch.depth'"):
        cells(runs, "arch.depth")
    with pytest.raises(BadInput, match="load"):
        cells(pd.DataFrame({"state": ["done"]}))
