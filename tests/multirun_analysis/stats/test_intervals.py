"""Intervals: scipy's, and the bootstrap's by counting every resample."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multirun_analysis.stats.intervals import _support, half_width, median_interval, welch
from multirun_analysis.stats.sample import Sample

stats = pytest.importorskip("scipy.stats")
GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_the_interval_of_a_mean_is_students(n):
    values = GENERATOR.normal(5, 2, size=n)
    low, high = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    half = half_width(n, values.std(ddof=1))
    assert (values.mean() - half, values.mean() + half) == (
        pytest.approx(low, rel=1e-12),
        pytest.approx(high, rel=1e-12),
    )
    assert math.isnan(half_width(1, math.nan))


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 8), (20, 5)])
def test_the_interval_of_a_difference_is_welchs(n, m):
    a, b = GENERATOR.normal(size=n), GENERATOR.normal(2, 3, size=m)
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    half = welch(Sample.of(a), Sample.of(b))
    assert half == pytest.approx((interval.high - interval.low) / 2, rel=1e-12)
    assert welch(Sample.of(np.ones(3)), Sample.of(np.ones(4))) == 0
    assert math.isnan(welch(Sample.of(a[:1]), Sample.of(b)))


def percentiles(values, level):
    """The percentile bootstrap by every one of the nⁿ resamples."""
    medians = np.sort([np.median(resample) for resample in itertools.product(values, repeat=len(values))])
    shares = np.arange(1, len(medians) + 1) / len(medians)
    return [medians[np.argmax(shares >= share - 1e-12)] for share in ((1 - level) / 2, (1 + level) / 2)]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 9).map(float), min_size=1, max_size=5), st.sampled_from([0.5, 0.9, 0.95]))
def test_the_bootstrap_of_a_median_counts_every_resample(values, level):
    low, high = median_interval(np.array([values]), level)
    assert [low[0], high[0]] == percentiles(values, level)


def test_the_bootstrap_of_a_median_of_six():
    values = [1.0, 4.0, 2.0, 8.0, 5.0, 7.0]
    low, high = median_interval(np.array([values]))
    assert [low[0], high[0]] == percentiles(values, 0.95)


def exactly(n):
    """The probabilities of the pairs of order statistics, as fractions."""
    half, found = n // 2, {}

    def at_most(count, k):
        return sum(
            math.comb(n, i) * Fraction(count, n) ** i * Fraction(n - count, n) ** (n - i) for i in range(k, n + 1)
        )

    def power(count):
        return Fraction(count, n) ** half

    for i in range(n):
        mine = at_most(i + 1, half + n % 2) - at_most(i, half + n % 2)
        for j in range(i + 1, n) if n % 2 == 0 else ():
            found[i, j] = math.comb(n, half) * (power(i + 1) - power(i)) * (power(n - j) - power(n - j - 1))
            mine -= found[i, j]
        found[i, i] = mine
    return found


@pytest.mark.parametrize("n", [1, 2, 7, 8, 31, 40])
def test_the_probabilities_of_the_bootstraps_medians_are_exact(n):
    pairs, probability = _support(n)
    found = dict(zip(map(tuple, pairs.T.tolist()), probability.tolist(), strict=True))
    assert all(abs(float(exact) - found.get(pair, 0.0)) < 1e-14 for pair, exact in exactly(n).items())


@pytest.mark.parametrize("n", [1501, 5000])
def test_thousands_of_values_have_an_interval_as_wide_as_the_limit_says(n):
    values = stats.norm.ppf((np.arange(n) + 0.5) / n)
    low, high = median_interval(values[None])
    assert (high[0] - low[0]) / 2 == pytest.approx(1.96 * math.sqrt(math.pi / 2 / n), rel=0.02)
    assert _support(n)[1].sum() == pytest.approx(1, abs=1e-12)


def test_many_samples_are_done_at_once():
    values = GENERATOR.normal(size=(50, 8))
    low, high = median_interval(values)
    alone = [median_interval(row[None]) for row in values]
    np.testing.assert_array_equal(low, [one[0][0] for one in alone])
    np.testing.assert_array_equal(high, [one[1][0] for one in alone])
    assert (low <= np.median(values, axis=1)).all()
    assert (high >= np.median(values, axis=1)).all()


@pytest.mark.parametrize("n", [9, 12])
def test_scipys_resamples_approach_it(n):
    values = GENERATOR.normal(size=n)
    drawn = stats.bootstrap(
        (values,), np.median, method="percentile", n_resamples=20_000, rng=np.random.default_rng(0)
    ).confidence_interval
    low, high = median_interval(values[None])
    assert np.searchsorted(np.sort(values), [low[0], high[0]]).tolist() == pytest.approx(
        np.searchsorted(np.sort(values), [drawn.low, drawn.high]).tolist(), abs=1
    )
