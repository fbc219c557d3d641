"""Moments: the last epoch, the best and the N-th are those of the epochs' table, and the test set owns up."""

import pytest
from synthetic import Outcome, configuration, write_runs, write_sweep

from multirun_analysis import load
from multirun_analysis.cell.at_epoch import best_epochs, chooser, chosen_by, metric_of, valued
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
    for metric in ("train_error", "train_loss", "test_loss"):
        runs, name = valued(sweep, metric, "best")
        assert name == f"best_{metric}"
        for row in runs.to_dict("records"):
            of_run = sweep.epochs[sweep.epochs["run"] == row["run"]].set_index("epoch")
            assert row[name] == of_run.loc[row["best_epoch"], metric]
        assert runs.attrs["keys"] == sweep.runs.attrs["keys"]
    assert valued(sweep, "best_train_loss")[1] == "best_train_loss"


def test_the_best_epoch_of_another_program_is_the_one_that_its_validation_chooses(tmp_path):
    for number, losses in enumerate(([3.0, 1.0, 2.0], [1.0, float("nan"), 0.5])):
        job = tmp_path / "m" / str(number)
        (job / ".hydra").mkdir(parents=True)
        (job / ".hydra" / "config.yaml").write_text(f"seed: {number}\n")
        rows = "".join(f"{epoch},{loss},{loss / 2},{90 + epoch}\n" for epoch, loss in enumerate(losses, 1))
        (job / "metrics.csv").write_text(f"epoch,train_loss,val_loss,test_acc\n{rows}")
    sweep = load(tmp_path / "m")
    assert chooser(sweep) == "val_loss"
    assert chosen_by(sweep) == "the best epoch, chosen by val_loss"
    assert best_epochs(sweep).tolist() == [2, 3]
    assert valued(sweep, "test_acc", "best")[0]["best_test_acc"].tolist() == [92.0, 93.0]


def test_a_last_epoch_without_a_number_is_none(tmp_path):
    (run,) = write_runs(tmp_path / "s", [configuration()])
    run.metrics(1).write_text("epoch,test_loss\n1,0.5\n2,nan\n")
    runs, name = valued(load(tmp_path / "s"), "test_loss", "final")
    assert runs[name].isna().all()


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
        assert chosen_by(load(write_runs(tmp_path / name, configs).path)).endswith(says)


def test_prefixes_are_no_part_of_a_metric():
    assert [metric_of(name) for name in ("final_test_error", "best_test_error", "lr")] == ["test_error"] * 2 + ["lr"]
