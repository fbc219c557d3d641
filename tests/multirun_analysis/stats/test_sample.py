"""Statistics: scipy's, to the last digits."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirun_analysis.stats.sample import Sample, error_of_difference, fisher_exact


def test_a_sample_has_mean_and_sd_over_n_minus_1():
    numbers = np.random.default_rng(0).normal(size=7)
    sample = Sample.of(numbers)
    assert (sample.n, sample.mean, sample.sd) == (7, np.mean(numbers), np.std(numbers, ddof=1))
    assert math.isnan(Sample.of([1.0]).sd)
    assert math.isnan(Sample.of([]).mean)


def test_the_error_of_a_difference_is_that_of_welch():
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=5), generator.normal(2, 3, size=8)
    welch = (a.mean() - b.mean()) / stats.ttest_ind(a, b, equal_var=False).statistic
    assert error_of_difference(Sample.of(a), Sample.of(b)) == pytest.approx(welch, rel=1e-12)


def test_a_missing_sd_counts_as_none():
    assert error_of_difference(Sample(4, 1.0, 2.0), Sample(0, 1.5, math.nan)) == 1.0
    assert error_of_difference(Sample(4, 1.0, 2.0), Sample(20, 1.5, math.nan)) == 1.0


@given(st.integers(1, 12), st.integers(1, 25), st.data())
def test_fisher_is_scipys(n, other_n, data):
    stats = pytest.importorskip("scipy.stats")
    k, other_k = data.draw(st.integers(0, n)), data.draw(st.integers(0, other_n))
    expected = stats.fisher_exact([[k, n - k], [other_k, other_n - other_k]]).pvalue
    assert fisher_exact(k, n, other_k, other_n) == pytest.approx(expected, abs=1e-12)
