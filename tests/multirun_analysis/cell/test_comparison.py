"""Comparisons: two sweeps aligned by what they are, not by names; intervals are scipy's."""

import json

import numpy as np
import pytest
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs, write_sweep

from multirun_analysis import load
from multirun_analysis.cell.comparison import compare
from taunode.errors import BadInput
from taunode.runs.files import to_yaml, write_json

stats = pytest.importorskip("scipy.stats")


def both(path, first, second, outcomes, **options):
    """A comparison of two lists of configurations; `outcomes[i]` gives how a run of the i-th ends."""
    for name, configs, outcome in zip("ab", (first, second), outcomes, strict=True):
        write_runs(path / name, configs, outcome)
    return compare(load(path / "a", path / "b", once=False), **options)


def seeds(count, start=0, **keys):
    return [configuration(seed=seed, **keys) for seed in range(start, start + count)]


A, B = np.random.default_rng(0).uniform(4, 9, size=(2, 6))


def test_common_seeds_are_paired(tmp_path):
    found = both(
        tmp_path, seeds(5), seeds(5, 1), [lambda c: Outcome(error=A[c["seed"]]), lambda c: Outcome(error=B[c["seed"]])]
    )
    (cell,) = found.cells.to_dict("records")
    result = stats.ttest_rel(B[1:5], A[1:5]).confidence_interval(0.95)
    assert (cell["n_first"], cell["n_second"], cell["pairs"]) == (5, 5, 4)
    assert cell["difference"] == pytest.approx((B - A)[1:5].mean(), rel=1e-12)
    assert (cell["low"], cell["high"]) == pytest.approx(tuple(result), rel=1e-9)
    assert found.alone["seed"].tolist() == [0, 5]
    assert found.alone["sweep"].tolist() == list(found.names)


def test_without_common_seeds_the_interval_is_welchs(tmp_path):
    outcomes = [lambda c: Outcome(error=A[c["seed"]]), lambda c: Outcome(error=B[c["seed"]])]
    (cell,) = both(tmp_path, seeds(3), seeds(3, 3), outcomes).cells.to_dict("records")
    result = stats.ttest_ind(B[3:], A[:3], equal_var=False).confidence_interval(0.95)
    assert cell["pairs"] == 0
    assert cell["difference"] == pytest.approx(B[3:].mean() - A[:3].mean(), rel=1e-12)
    assert (cell["low"], cell["high"]) == pytest.approx(tuple(result), rel=1e-9)


def test_cells_are_aligned_by_configuration_in_the_order_of_their_values(tmp_path):
    for name, depths in (("a", (110, 20)), ("b", (20, 56, 110))):
        write_sweep(tmp_path / name, depths, (ONE, INVERSE_SQRT), ("batch",), outcome=lambda _: Outcome(error=5.0))
    found = compare(load(tmp_path / "a", tmp_path / "b", once=False))
    depths = ("depth 20", "depth 110")
    assert found.cells["cell"].tolist() == [f"{depth}, τ = {tau}" for depth in depths for tau in ("1", "L^-1/2")]
    assert (found.cells["difference"] == 0).all()
    assert set(found.alone["cell"]) == {"depth 56, τ = 1", "depth 56, τ = L^-1/2"}
    assert found.keys.to_dict("records") == [{"key": "arch.depth", "first": "20, 110", "second": "20, 56, 110"}]


def test_keys_that_differ_are_listed_and_can_be_ignored(tmp_path):
    outcomes = [lambda _: Outcome(error=5.0), lambda _: Outcome(error=4.0)]
    longer = seeds(2, epochs=20)
    found = both(tmp_path, seeds(2), longer, outcomes)
    assert found.cells.empty
    assert len(found.alone) == 4
    assert found.keys["key"].tolist() == ["schedule.epochs", "schedule.milestones"]
    assert found.keys["second"].tolist() == ["20", "(10, 15)"]
    aligned = compare(
        load(tmp_path / "a", tmp_path / "b", once=False), ignore=["schedule.epochs", "schedule.milestones"]
    )
    assert aligned.cells["difference"].tolist() == [-1.0]
    assert aligned.alone.empty


def test_divergence_is_counted_and_has_no_difference(tmp_path):
    outcomes = [lambda c: Outcome("diverged"), lambda c: Outcome("diverged" if c["seed"] else "done", 5.0)]
    (cell,) = both(tmp_path, seeds(2), seeds(2), outcomes).cells.to_dict("records")
    assert (cell["diverged_first"], cell["diverged_second"]) == ("2/2", "1/2")
    assert np.isnan([cell["difference"], cell["low"], cell["high"]]).all()


def test_one_common_seed_of_ten_is_no_reason_to_pair(tmp_path):
    errors = np.random.default_rng(1).uniform(4, 9, size=(2, 20))
    outcomes = [lambda c, half=half: Outcome(error=errors[half, c["seed"]]) for half in (0, 1)]
    (cell,) = both(tmp_path, seeds(10), seeds(10, 9), outcomes).cells.to_dict("records")
    first, second = errors[0, :10], errors[1, 9:19]
    result = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    assert cell["pairs"] == 0
    assert (cell["low"], cell["high"]) == pytest.approx(tuple(result), rel=1e-9)


def test_two_seeds_have_a_difference_and_no_interval(tmp_path):
    outcomes = [lambda c: Outcome(error=A[c["seed"]]), lambda c: Outcome(error=B[c["seed"]])]
    (cell,) = both(tmp_path, seeds(2), seeds(2), outcomes).cells.to_dict("records")
    assert (cell["pairs"], cell["difference"]) == (2, pytest.approx((B - A)[:2].mean()))
    assert np.isnan([cell["low"], cell["high"]]).all()


def test_code_and_versions_that_differ_are_listed(tmp_path):
    for name, commit, torch in (("a", "aaaa", "2.4"), ("b", "bbbb", "2.5")):
        sweep = write_runs(tmp_path / name, seeds(1))
        (sweep.commands / "one.yaml").write_text(to_yaml({"code": {"commit": commit}}))
        (sweep.commands / "two.yaml").write_text("a: [")
        for run in sweep:
            record = json.loads(run.record.read_text())
            record["attempts"][0] |= {"code": "1234", "versions": {"torch": torch, "python": "3.11"}}
            write_json(run.record, record)
    found = compare(load(tmp_path / "a", tmp_path / "b", once=False)).code
    assert found.to_dict("records") == [
        {"what": "commit", "first": "aaaa", "second": "bbbb"},
        {"what": "torch", "first": "2.4", "second": "2.5"},
    ]


def test_bad_input(tmp_path):
    write_runs(tmp_path / "a", seeds(1))
    write_runs(tmp_path / "b", seeds(1))
    with pytest.raises(BadInput, match=r"needs two sweeps, got .*a alone"):
        compare(load(tmp_path / "a", tmp_path / "a", once=False))
    with pytest.raises(BadInput, match="with all their runs"):
        compare(load(tmp_path / "a", tmp_path / "b"))
    with pytest.raises(BadInput, match=r"--ignore schedule.epoch: not a key .* nearest: schedule.epochs"):
        compare(load(tmp_path / "a", tmp_path / "b", once=False), ignore=["schedule.epoch"])
    with pytest.raises(BadInput, match="nearest: final_test_error"):
        compare(load(tmp_path / "a", tmp_path / "b", once=False), "final_error")
