"""Moments: the last epoch, the best and the N-th are those of the epochs' table, and the test set owns up."""

import pytest
from synthetic import Outcome, configuration, write_runs, write_sweep

from multirun_analysis import load
from multirun_analysis.cell.at_epoch import chosen_by, metric_of, valued
from taunode.errors import BadInput


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    path = tmp_path_factory.mktemp("moment") / "s"
    return load(write_sweep(path, depths=(20,), outcome=lambda c: Outcome(error=3.0 + c["seed"])).path)


def test_final_and_best_are_the_summarys(sweep):
    for when in ("final", "best"):
        assert valued(sweep, "test_error", when)[1] == f"{when}_test_error"
        assert valued(sweep, "final_test_error", when)[1] == f"{when}_test_error"


def test_what_no_summary_has_is_taken_from_the_epochs(sweep):
    runs, name = valued(sweep, "train_error", "best")
    least = sweep.epochs.groupby("run", observed=True)["train_error"].min()
    assert name == "best_train_error"
    assert runs.set_index("run")[name].to_dict() == least.to_dict()
    assert runs.attrs["keys"] == sweep.runs.attrs["keys"]


def test_the_nth_epoch(sweep):
    runs, name = valued(sweep, "test_error", "epoch:3")
    third = sweep.epochs[sweep.epochs["epoch"] == 3].set_index("run")["test_error"]
    assert name == "test_error@3"
    assert runs.set_index("run")[name].to_dict() == third.to_dict()


@pytest.mark.parametrize(
    ("value", "when", "says"),
    [
        ("test_error", "epoch:99", "no run has this epoch; the last one is 5"),
        ("test_error", "last", "valid: final, best, epoch:N"),
        ("test_error", "epoch:x", "valid: final, best, epoch:N"),
        ("test_eror", "epoch:2", "nearest: test_error"),
    ],
)
def test_bad_input_says_what_is_valid(sweep, value, when, says):
    with pytest.raises(BadInput, match=says):
        valued(sweep, value, when)


def test_best_says_what_chose_it(tmp_path):
    for name, holdouts, says in (
        ("test", (0, 0), "chosen by the test set"),
        ("validation", (50, 50), "chosen by the validation split"),
        ("both", (0, 50), "chosen by the test set where there is no validation split"),
    ):
        configs = [configuration(seed=seed) for seed in range(2)]
        for config, holdout in zip(configs, holdouts, strict=True):
            config["dataset"]["holdout"] = holdout
        assert chosen_by(load(write_runs(tmp_path / name, configs).path).runs).endswith(says)


def test_prefixes_are_no_part_of_a_metric():
    assert [metric_of(name) for name in ("final_test_error", "best_test_error", "lr")] == ["test_error"] * 2 + ["lr"]
