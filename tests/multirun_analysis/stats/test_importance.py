"""Importance: in a complete grid the sums of squares of the analysis of variance, as statsmodels has them."""

import itertools

import numpy as np
import pandas as pd
import pytest

from multirun_analysis.stats.importance import importance


def made(effect_a, effect_b, noise=0.0, drop=0):
    generator = np.random.default_rng(0)
    rows = [
        {"a": a, "b": b, "y": effect_a * a + effect_b * (b == "x") + noise * generator.normal()}
        for a, b in itertools.product((1, 2, 4, 8), ("x", "y", "z"))
    ]
    return pd.DataFrame(rows[drop:])


def shares(table):
    return importance(table["y"].to_numpy(), {"a": table["a"], "b": table["b"]})


def test_what_has_no_effect_explains_nothing():
    found = shares(made(1.0, 0.0))
    assert found.alone == pytest.approx({"a": 1, "b": 0}, abs=1e-12)
    assert found.rest == pytest.approx(0, abs=1e-12)


def test_in_a_complete_grid_alone_and_beside_are_one_and_sum_with_the_rest():
    found = shares(made(0.5, 2.0, noise=0.5))
    assert found.alone == pytest.approx(found.beside, abs=1e-12)
    assert sum(found.alone.values()) + found.rest == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("drop", [0, 3])
def test_shares_are_statsmodels_sums_of_squares(drop):
    api = pytest.importorskip("statsmodels.formula.api")
    anova = pytest.importorskip("statsmodels.stats.anova").anova_lm
    table = made(0.5, 2.0, noise=0.5, drop=drop)
    total = ((table["y"] - table["y"].mean()) ** 2).sum()
    second = anova(api.ols("y ~ C(a) + C(b)", table).fit(), typ=2)["sum_sq"] / total
    found = shares(table)
    assert found.beside == pytest.approx({"a": second["C(a)"], "b": second["C(b)"]}, abs=1e-12)
    assert found.rest == pytest.approx(second["Residual"], abs=1e-12)
    for key in ("a", "b"):
        assert found.alone[key] == pytest.approx(api.ols(f"y ~ C({key})", table).fit().rsquared, abs=1e-12)


def test_a_number_with_many_values_is_cut_into_tenths():
    x = pd.Series(np.linspace(0, 1, 200))
    found = importance(x.to_numpy(), {"x": x})
    assert 0.98 < found.alone["x"] < 1


def test_nothing_varies():
    assert importance(np.ones(5), {"x": pd.Series(range(5))}) is None
    assert importance(np.array([1.0, 2.0]), {"x": pd.Series([1, 2])}) is None
