"""The table of epochs: pandas.read_csv run by run is the oracle."""

import json

import numpy as np
import pandas as pd
import pytest
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs, write_sweep

from multirun_analysis import load
from taunode.runs.files import write_json


def oracle(runs, columns):
    """The loop everyone writes."""
    tables = []
    for run in runs:
        metrics, timings = (pd.read_csv(run.path / name) for name in ("metrics.csv", "timings.csv"))
        tables.append(metrics.merge(timings, on="epoch", how="left").assign(run=run.path.name))
    return pd.concat(tables, ignore_index=True)[columns]


def test_it_is_what_reading_run_by_run_gives(tmp_path):
    sweep = write_sweep(tmp_path / "s", depths=(20, 56), taus=(ONE, INVERSE_SQRT), epochs=7)
    epochs = load(sweep.path).epochs
    assert list(epochs.columns[:2]) == ["run", "epoch"]
    assert epochs["epoch"].dtype == "int64"
    expected = oracle(sweep, list(epochs.columns))
    pd.testing.assert_frame_equal(epochs.assign(run=epochs["run"].astype("str")), expected)


def test_runs_with_other_columns_keep_theirs_in_the_order_of_the_runs(tmp_path):
    runs = list(write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(4)]))
    for run in (runs[0], runs[2]):
        lines = run.metrics(1).read_text().splitlines()
        run.metrics(1).write_text("\n".join([lines[0] + ",tau", *(line + ",0.5" for line in lines[1:])]) + "\n")
    runs[3].timings(1).unlink()
    epochs = load(tmp_path / "s").epochs
    assert epochs["run"].tolist() == [run.path.name for run in runs for _ in range(5)]
    assert epochs.groupby("run", observed=True)["tau"].count().tolist() == [5, 0, 5, 0]
    assert epochs.groupby("run", observed=True)["seconds"].count().tolist() == [5, 5, 5, 0]
    assert (epochs.groupby("run", observed=True)["epoch"].apply(list).apply(lambda x: x == [1, 2, 3, 4, 5])).all()


def test_the_attempt_is_the_one_that_done_names_else_the_newest_with_metrics(tmp_path):
    states = ["done", "failed", "planned"]
    configs = [configuration(seed=seed) for seed in range(3)]
    sweep = write_runs(tmp_path / "s", configs, lambda config: Outcome(states[config["seed"]], 3.0))
    for run in sweep:
        if run.metrics(1).exists():
            run.metrics(2).write_text("epoch,test_error\n1,77\n")
            write_json(run.claim(3), json.loads(run.claim(1).read_text()) | {"attempt": 3})
    loaded = load(tmp_path / "s")
    last = loaded.epochs.groupby("run", observed=True)["test_error"].last()
    seed = loaded.runs.set_index("run")["seed"]
    assert {states[seed[run]]: error for run, error in last.items()} == {"done": 3.0, "failed": 77.0}
    assert loaded.broken.empty


def test_a_run_that_ended_in_its_first_epoch_has_none(tmp_path):
    run = next(iter(write_runs(tmp_path / "s", [configuration()])))
    run.metrics(1).write_text("")
    sweep = load(tmp_path / "s")
    assert (len(sweep.epochs), len(sweep.broken)) == (0, 0)


def test_nan_and_infinity_are_numbers(tmp_path):
    run = next(iter(write_runs(tmp_path / "s", [configuration()])))
    run.metrics(1).write_text("epoch,train_loss,test_loss\n1,nan,inf\n2,1.5,-inf\n")
    epochs = load(tmp_path / "s").epochs
    np.testing.assert_array_equal(epochs["train_loss"], [np.nan, 1.5])
    np.testing.assert_array_equal(epochs["test_loss"], [np.inf, -np.inf])


@pytest.mark.parametrize(
    "text",
    [
        "epoch,lr",
        "epoch,lr\n1,0.1\n2,0.",
        "epoch,lr\n1,0.1\n2\n",
        "epoch,lr\n1,0.1,7\n",
        "epoch,lr\n1,x\n",
        "epoch,lr\n,0.1\n",
        "lr\n0.1\n",
        "epoch,epoch\n1,1\n",
        "epoch,lr\n1,0.1\n1,0.1\n",
        "epoch,lr\n2,0.1\n1,0.1\n",
        f"epoch,lr\n1{'0' * 400},0.1\n",
        "epoch,\x1b,\\x1b\n1,2,3\n",
    ],
)
def test_damaged_metrics_are_listed_and_the_other_runs_are_read(tmp_path, text):
    runs = list(write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(3)]))
    runs[1].metrics(1).write_text(text)
    sweep = load(tmp_path / "s")
    assert sweep.broken.empty
    assert set(sweep.epochs["run"]) == {runs[0].path.name, runs[2].path.name}
    assert len(sweep.epochs) == 10
    assert sweep.broken["run"].tolist() == [runs[1].path.name]
    assert "metrics.1.csv" in sweep.broken["reason"].iloc[0]
