"""Power laws: scipy's curve_fit, and the numbers that made the points."""

import numpy as np
import pytest

from multirun_analysis.stats.power_law import PowerLaw

optimize = pytest.importorskip("scipy.optimize")
stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize(("a", "b", "c"), [(3, 20, -0.5), (1, 0.5, 1.0), (90, -30, -1.5), (2, 1e-3, 2.0)])
def test_exact_points_give_the_law_back(a, b, c):
    x = np.array([9.0, 15, 27, 54, 102, 600])
    fit = PowerLaw.fit(x, a + b * x**c)
    assert (fit.a, fit.b, fit.c) == pytest.approx((a, b, c), rel=1e-4)
    assert fit(x) == pytest.approx(a + b * x**c, rel=1e-6)
    assert max(fit.half) < 1e-3 * max(abs(a), abs(b), abs(c))


@pytest.mark.parametrize("seed", range(5))
def test_noisy_points_are_fitted_as_curve_fit_does(seed):
    generator = np.random.default_rng(seed)
    x = np.array([9.0, 15, 21, 27, 54, 102, 300, 600])
    y = 4 + 30 * x**-0.6 + generator.normal(scale=0.2, size=len(x))
    fit = PowerLaw.fit(x, y)
    start = (fit.a, fit.b, fit.c)
    found, covariance = optimize.curve_fit(lambda x, a, b, c: a + b * x**c, x, y, p0=start, ftol=1e-14, xtol=1e-14)
    assert (fit.a, fit.b, fit.c) == pytest.approx(tuple(found), rel=1e-5)
    half = stats.t.ppf(0.975, len(x) - 3) * np.sqrt(np.diag(covariance))
    assert fit.half == pytest.approx(tuple(half), rel=1e-3)


def test_of_three_points_nothing_is_said():
    assert PowerLaw.fit(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) is None
    assert PowerLaw.fit(np.array([0.0, 1, 2, 3]), np.array([3.0, 2, 1, 0])) is None
    assert PowerLaw.fit(np.array([1.0, 2, 3, 4]), np.array([3.0, 2, 1, np.nan])) is None
