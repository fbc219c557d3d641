"""Proportions: Fisher's test is scipy's, Wilson's and Newcombe's intervals are statsmodels'."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multirun_analysis.stats.proportions import fisher_exact, newcombe, wilson

PAIR = st.tuples(st.integers(1, 25), st.integers(1, 25)).map(lambda pair: (min(pair), max(pair)))


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 25), st.data())
def test_fisher_is_scipys(n, other_n, data):
    stats = pytest.importorskip("scipy.stats")
    k, other_k = data.draw(st.integers(0, n)), data.draw(st.integers(0, other_n))
    expected = stats.fisher_exact([[k, n - k], [other_k, other_n - other_k]]).pvalue
    assert fisher_exact(k, n, other_k, other_n) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(st.integers(1, 25), st.integers(1, 25), st.data())
def test_wilson_and_newcombe_are_statsmodels(n, other_n, data):
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    k, other_k = data.draw(st.integers(0, n)), data.draw(st.integers(0, other_n))
    expected = proportion.proportion_confint(k, n, method="wilson")
    assert wilson(k, n) == pytest.approx(expected, abs=1e-12)
    expected = proportion.confint_proportions_2indep(k, n, other_k, other_n, method="newcomb")
    assert newcombe(k, n, other_k, other_n) == pytest.approx(expected, abs=1e-12)
