"""Tuned: the best cell of each setting, as a search finds it; chosen by the validation split where there is one."""

import itertools
import json

import pytest
from shapes import RATES, SHAPES, changed
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs

import multirun_analysis as ma
from multirun_analysis.cell.tuned import best_runs
from taunode.errors import BadInput

LR = ["schedule.lr"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Rates × depth × norm × τ, two seeds; large rates diverge in deep networks."""
    path = tmp_path_factory.mktemp("tuned") / "s"
    SHAPES["lr × depth × norm × τ"](path)
    return ma.load(path)


def written(path, outcome, **axes):
    configs = [
        changed(configuration(), **dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())
    ]
    return write_runs(path, configs, outcome)


def test_each_setting_keeps_the_cell_that_a_search_finds(sweep):
    keys = ["arch.depth", "arch.norm", "tau.exponent"]
    every, kept = ma.cells(sweep.runs), ma.cells(ma.tuned(sweep, LR).runs)
    assert len(kept) == 8
    for row in kept.to_dict("records"):
        setting = every[(every[keys] == [row[key] for key in keys]).all(axis=1)]
        whole = setting[setting["diverged"] == 0]
        assert row["mean"] == whole["mean"].min()
        assert row["tuned"] == f"lr {whole.loc[whole['mean'].idxmin(), 'schedule.lr']:g}"
        assert (row["n"], row["missing"]) == (2, "")


def test_the_keys_no_longer_tell_cells_apart_and_every_view_says_which_values_are_shown(sweep):
    chosen = ma.tuned(sweep, LR)
    assert LR[0] not in chosen.runs.attrs["keys"]
    assert LR[0] in sweep.runs.attrs["keys"]
    table = ma.table(chosen, baseline="1")
    assert (table.layout.row_keys, table.layout.column_keys) == (("arch.depth",), ("arch.norm", "tau"))
    assert str(table).count(", lr 0.1") == 8
    assert "lr: the best of 6 by final_test_error" in table.note
    picture = ma.figure(chosen)
    assert set(picture.table["tuned"]) == {"lr 0.1"}
    assert "lr: the best of 6 by final_test_error" in picture.note


def test_fewer_divergences_come_before_a_better_mean(tmp_path):
    def outcome(config):
        if config["schedule"]["lr"] == 1 and config["seed"] == 0:
            return Outcome("diverged")
        return Outcome(error=2.0 if config["schedule"]["lr"] == 1 else 5.0)

    sweep = ma.load(written(tmp_path / "s", outcome, schedule__lr=(0.1, 1), seed=(0, 1)).path)
    assert set(ma.tuned(sweep, LR).runs["schedule.lr"]) == {0.1}


def test_where_every_value_diverged_it_is_said(tmp_path):
    def outcome(config):
        return Outcome("diverged") if config["arch"]["depth"] == 56 else Outcome(error=3.0)

    axes = {"schedule__lr": (0.1, 0.3, 1), "arch__depth": (20, 56), "seed": (0, 1)}
    table = ma.table(ma.tuned(ma.load(written(tmp_path / "s", outcome, **axes).path), LR))
    assert "diverged 2/2, at every lr" in str(table)
    assert "lr is at an end of its grid in 1 of 2 settings" in table.note


def test_the_end_of_a_grid_and_what_is_not_complete_are_said(tmp_path):
    def outcome(config):
        rate, depth = config["schedule"]["lr"], config["arch"]["depth"]
        return Outcome("planned") if (rate, depth) == (1, 110) else Outcome(error=5 - rate * (depth != 56))

    axes = {"schedule__lr": (0.1, 0.3, 1), "arch__depth": (20, 56, 110)}
    note = ma.table(ma.tuned(ma.load(written(tmp_path / "s", outcome, **axes).path), LR)).note
    assert "lr is at an end of its grid in 2 of 3 settings" in note
    assert "1 settings are not complete" in note


def test_several_keys_are_tuned_together(sweep):
    kept = ma.cells(ma.tuned(sweep, [*LR, "arch.norm"]).runs)
    assert len(kept) == 4
    assert all(said.startswith("lr 0.1, norm ") for said in kept["tuned"])


def test_the_validation_split_chooses_where_all_runs_have_one(tmp_path):
    """The rate with the smallest test error has not the smallest validation error."""
    written(tmp_path / "s", lambda config: Outcome(error=5 - config["schedule"]["lr"]), schedule__lr=(0.1, 0.3, 1))
    runs = ma.load(tmp_path / "s").runs.copy()
    assert set(best_runs(runs, LR, "final_test_error")["schedule.lr"]) == {1}
    held = runs.assign(final_validation_error=(runs["schedule.lr"] - 0.3).abs())
    held.attrs = runs.attrs
    chosen = best_runs(held, LR, "final_test_error")
    assert set(chosen["schedule.lr"]) == {0.3}
    assert chosen.attrs["tuned"] == "lr: the best of 3 by final_validation_error"
    held.loc[held.index[0], "final_validation_error"] = float("nan")
    assert set(best_runs(held, LR, "final_test_error")["schedule.lr"]) == {1}


def test_of_an_accuracy_the_highest_is_the_best(tmp_path):
    for number, rate in enumerate(RATES[:3]):
        job = tmp_path / "m" / str(number)
        (job / ".hydra").mkdir(parents=True)
        (job / ".hydra" / "config.yaml").write_text(f"lr: {rate}\n")
        (job / "metrics.jsonl").write_text(json.dumps({"epoch": 1, "test_acc": 90 + number % 2}) + "\n")
    assert set(ma.tuned(ma.load(tmp_path / "m"), ["lr"]).runs["lr"]) == {RATES[1]}


def test_mistakes_are_a_line(sweep):
    for keys, value, match in (
        (["schedule.rl"], None, r"nearest: schedule\.lr"),
        (["tau"], None, "is not a key"),
        ([], None, "no key"),
        (LR, "seconds", "no better and worse"),
    ):
        with pytest.raises(BadInput, match=match):
            ma.tuned(sweep, keys, value)


def test_the_same_cells_whatever_the_order_of_the_runs(sweep):
    turned = sweep.runs.iloc[::-1]
    turned.attrs = sweep.runs.attrs
    first, second = (ma.cells(best_runs(runs, LR, "final_test_error")) for runs in (sweep.runs, turned))
    assert first[["tuned", "mean"]].to_numpy().tolist() == second[["tuned", "mean"]].to_numpy().tolist()


def test_a_sweep_without_rates_stays_as_it_is(tmp_path):
    configs = [configuration(20, tau, seed=seed) for tau in (ONE, INVERSE_SQRT) for seed in (0, 1)]
    sweep = ma.load(write_runs(tmp_path / "s", configs).path)
    assert len(ma.tuned(sweep, LR).runs) == 4
