"""Holm: statsmodels', in any order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multirun_analysis.stats.holm import holm

multitest = pytest.importorskip("statsmodels.stats.multitest")


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_adjusted_values_are_statsmodels(values):
    assert holm(values) == pytest.approx(multitest.multipletests(values, method="holm")[1].tolist(), abs=1e-12)


def test_none_of_none():
    assert holm([]) == []
