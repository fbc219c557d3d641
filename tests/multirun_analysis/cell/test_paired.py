"""Paired differences: scipy's, on the seeds that both cells have."""

import numpy as np
import pytest
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs

from multirun_analysis import cells, load
from multirun_analysis.cell.layout import default_keys, pivot
from multirun_analysis.cell.paired import with_differences
from multirun_analysis.tables.entry import entry
from taunode.errors import BadInput

stats = pytest.importorskip("scipy.stats")
ERRORS = np.random.default_rng(0).uniform(4, 9, size=(2, 5))


def laid_out(path, keep=lambda config: True, outcome=None, norms=("batch",)):
    configs = [
        configuration(20, tau, norm, seed)
        for norm in norms
        for tau in (ONE, INVERSE_SQRT)
        for seed in range(5)
        if keep((tau, seed))
    ]
    error = outcome or (lambda c: Outcome(error=ERRORS[int(c["tau"]["exponent"] == 0.5), c["seed"]]))
    runs = load(write_runs(path / "s", configs, error).path).runs
    found = cells(runs)
    return pivot(found, *default_keys(found)), runs


def test_mean_sd_and_interval_are_scipys(tmp_path):
    layout = with_differences(*laid_out(tmp_path), "1")
    cell = layout.at(("20",), ("L^-1/2",))
    differences = ERRORS[1] - ERRORS[0]
    result = stats.ttest_rel(ERRORS[1], ERRORS[0]).confidence_interval(0.95)
    assert cell["pairs"] == 5
    assert cell["difference"] == pytest.approx(differences.mean(), rel=1e-12)
    assert cell["difference_sd"] == pytest.approx(differences.std(ddof=1), rel=1e-12)
    assert (cell["difference_low"], cell["difference_high"]) == pytest.approx(tuple(result), rel=1e-12)
    assert layout.at(("20",), ("1",))["pairs"] == 0


def test_only_common_seeds_count(tmp_path):
    layout = with_differences(*laid_out(tmp_path, lambda run: run not in ((ONE, 4), (INVERSE_SQRT, 0))), "1")
    cell = layout.at(("20",), ("L^-1/2",))
    assert (cell["n"], cell["pairs"]) == (4, 3)
    assert cell["difference"] == pytest.approx((ERRORS[1] - ERRORS[0])[1:4].mean(), rel=1e-12)
    assert "(n=3), no seed 0" in entry(cell)


def test_what_diverged_has_no_difference(tmp_path):
    def outcome(config):
        gone = config["tau"]["exponent"] == 0 and config["seed"] < 3
        return Outcome("diverged") if gone else Outcome(error=5.0 + config["seed"])

    cell = with_differences(*laid_out(tmp_path, outcome=outcome), "1").at(("20",), ("L^-1/2",))
    assert (cell["pairs"], cell["difference"]) == (0, -1.5)  # two of five seeds are too few to pair by
    assert entry(cell) == "7.00 ± 1.58 (n=5), Δ −1.50 (Welch)"


def test_a_column_is_compared_with_the_one_of_the_same_norm(tmp_path):
    def outcome(config):
        return Outcome(error=2.0 + 3 * (config["arch"]["norm"] == "none") + (config["tau"]["exponent"] == 0))

    layout = with_differences(*laid_out(tmp_path, outcome=outcome, norms=("batch", "none")), "1")
    for norm in ("batch", "none"):
        assert layout.at((norm,), ("L^-1/2",))["difference"] == -1.0
        assert layout.at((norm,), ("1",))["pairs"] == 0


def test_an_unknown_baseline_is_answered_with_the_columns(tmp_path):
    with pytest.raises(BadInput, match=r"baseline '2' is not a column; τ: 1, L\^-1/2"):
        with_differences(*laid_out(tmp_path), "2")


def test_runs_without_seeds_are_compared_as_independent(tmp_path):
    layout, runs = laid_out(tmp_path)
    cell = with_differences(layout, runs.drop(columns="seed"), "1").at(("20",), ("L^-1/2",))
    result = stats.ttest_ind(ERRORS[1], ERRORS[0], equal_var=False).confidence_interval(0.95)
    assert cell["pairs"] == 0
    assert (cell["difference_low"], cell["difference_high"]) == pytest.approx(tuple(result), rel=1e-12)
    assert entry(cell).endswith("(Welch)")
