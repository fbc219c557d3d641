"""Predictions: scipy's tests where there is one of that kind, and the level that they promise."""

import math

import numpy as np
import pytest

from multirun_analysis.stats.prediction import Prediction, predict
from multirun_analysis.stats.sample import Sample, pooled

stats = pytest.importorskip("scipy.stats")
GENERATOR = np.random.default_rng(0)
UNKNOWN = Sample(0, 5.0, math.nan)


def test_against_one_run_it_is_the_prediction_interval_of_scipys_pooled_test():
    ours, theirs = GENERATOR.normal(5, 1, size=6), 6.3
    found = predict(Sample.of(ours), Sample(1, theirs, math.nan))
    scipys = stats.ttest_ind(ours, [theirs])  # one value has no say in the common sd
    assert found.p == pytest.approx(scipys.pvalue, rel=1e-12)
    assert found.half_width() == pytest.approx(np.ptp(scipys.confidence_interval(0.95)) / 2, rel=1e-12)
    assert found.assumed == "their sd is at most ours"


def test_with_as_many_seeds_and_one_spread_it_is_students_with_half_the_freedom():
    ours = GENERATOR.normal(5, 1, size=7)
    found = predict(Sample.of(ours), Sample.of(ours + 0.7))
    scipys = stats.ttest_ind(ours, ours + 0.7)
    error = 0.7 / abs(scipys.statistic)
    assert (found.error, found.freedom) == (pytest.approx(error, rel=1e-12), 6)
    assert found.p == pytest.approx(2 * stats.t.sf(0.7 / error, 6), rel=1e-12)
    assert found.half_width(0.9) == pytest.approx(stats.t.ppf(0.95, 6) * error, rel=1e-12)
    assert found.assumed == ""


def test_the_fewer_seeds_say_how_well_the_spread_is_known():
    twenty = Sample(20, 5.0, 1.0)
    assert predict(Sample(3, 5.0, 1.0), twenty).freedom == 2
    assert predict(twenty, Sample(3, 5.0, 1.0)).freedom == 2
    assert predict(Sample(2, 5.0, 1.0), UNKNOWN).freedom == 1
    assert predict(Sample(1, 5.0, math.nan), twenty) is None


def test_what_a_paper_does_not_say_is_assumed_and_said():
    assert predict(Sample(3, 5.0, 1.0), UNKNOWN).assumed == "theirs is one run and their sd is at most ours"
    assert predict(Sample(3, 5.0, 1.0), UNKNOWN).error == pytest.approx(math.sqrt(1 / 3 + 1))
    assert predict(Sample(3, 5.0, 1.0), Sample(20, 5.0, math.nan)).error == pytest.approx(math.sqrt(1 / 3 + 1 / 20))
    assert predict(Sample(3, 5.0, 1.0), Sample(0, 5.0, 0.5)).error == pytest.approx(math.sqrt(1 / 3 + 0.25))


def test_a_declared_sd_takes_the_place_of_ours_with_its_freedom():
    cells = [Sample.of(GENERATOR.normal(size=3)) for _ in range(4)]
    common = pooled(cells)
    found = predict(cells[0], Sample(20, 0.0, 1.0), common=common)
    assert found.freedom == 8
    assert found.error == pytest.approx(math.sqrt(common[0] ** 2 / 3 + 1 / 20), rel=1e-12)
    assert predict(Sample(1, 0.0, math.nan), Sample(20, 0.0, 1.0), common=common).freedom == 8


def test_two_one_sided_tests_are_scipys():
    ours = GENERATOR.normal(5, 1, size=12)
    found = predict(Sample.of(ours), Sample(1, 5.2, math.nan))
    for margin in (0.5, 2.0, 4.0):
        bounds = ((-margin, "greater"), (margin, "less"))
        sides = [stats.ttest_ind(ours, [5.2 + bound], alternative=way) for bound, way in bounds]
        assert found.equivalence(margin) == pytest.approx(max(side.pvalue for side in sides), rel=1e-9)


def test_a_difference_within_the_rounding_is_none():
    for difference in (0.0, 0.005, -0.005):
        assert Prediction(difference, 1.0, 3, 0.005).p == 1
    assert Prediction(7.90 + 0.15 - 7.90, 0.0, 3, 0.15).p == 1
    assert Prediction(0.2, 0.0, 3, 0.15).p == 0
    assert Prediction(0.3, 1.0, 3, 0.005).half_width() == pytest.approx(stats.t.ppf(0.975, 3) + 0.005, rel=1e-12)


def test_seeds_that_end_on_one_step_have_an_sd():
    found = predict(Sample(2, 5.0, 0.0), UNKNOWN, rounding=0.005)
    assert found.error == pytest.approx(0.01 / math.sqrt(12) * math.sqrt(1.5), rel=1e-12)
