"""Intervals: of a mean, of the difference of two means, of a median.

scipy.special.stdtrit is what scipy.stats.t.ppf is; scipy.stats itself takes a second to import.
"""

import math
from functools import cache
from typing import Any

import numpy as np

from multirun_analysis.stats.sample import Sample

Array = np.ndarray[Any, np.dtype[np.float64]]
LEVEL = 0.95


def half_width(n: Any, sd: Any, level: float = LEVEL) -> Any:
    """Half the width of the confidence interval of a mean: t quantile · sd/√n (Student, 1908); NaN below n = 2.

    Args:
        n, sd: numbers or arrays of one shape; sd over n − 1.
    """
    from scipy.special import stdtrit

    n = np.asarray(n, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 1, stdtrit(n - 1, 0.5 + level / 2) * sd / np.sqrt(n), np.nan)


def welch(first: Sample, second: Sample, level: float = LEVEL) -> float:
    """Half the width of the interval of a difference of independent means (B. L. Welch, 1947); NaN if either n < 2."""
    from scipy.special import stdtrit

    if min(first.n, second.n) < 2:
        return math.nan
    errors = [sample.sd**2 / sample.n for sample in (first, second)]
    if not sum(errors):
        return 0.0
    freedom = sum(errors) ** 2 / sum(e**2 / (s.n - 1) for e, s in zip(errors, (first, second), strict=True))
    return float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(sum(errors))


def median_interval(values: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """The percentile bootstrap's interval of the median (B. Efron, 1979), exactly: nothing is drawn.

    The median of n values drawn with replacement is one of them, or halfway between two, and the probability of each
    is a sum of binomial ones (J. S. Maritz and R. G. Jarrett, 1978).

    Args:
        values: (samples, n), n ≥ 1.

    Returns:
        The lower and the upper end of each sample.
    """
    n = values.shape[1]
    points, probability = _support(n)
    ordered = np.sort(values, axis=1)
    medians = (ordered[:, points[0]] + ordered[:, points[1]]) / 2  # (samples, support)
    order = np.argsort(medians, axis=1, kind="stable")
    reached = np.cumsum(probability[order], axis=1)
    ends = []
    for share in ((1 - level) / 2, (1 + level) / 2):
        # The last of the sums is 1 but for rounding.
        place = np.minimum((reached < share - 1e-12).sum(axis=1), medians.shape[1] - 1)
        ends.append(np.take_along_axis(medians, np.take_along_axis(order, place[:, None], axis=1), axis=1)[:, 0])
    return ends[0], ends[1]


@cache
def _support(n: int) -> tuple["np.ndarray[Any, np.dtype[np.int64]]", Array]:
    """The pairs of order statistics (from 0) between which the median of a resample lies, and their probabilities.

    Of many values only those in the middle: nine standard deviations to either side, beyond which lie 10^-19.
    """
    from scipy.special import bdtrc

    half, reach = n // 2, math.ceil(4.5 * math.sqrt(n))
    places = np.arange(max(0, half - reach), min(n, half + reach + 1))
    # The probability that more than `half` of the n draws (of an even n: `half` or more) are at most the i-th value.
    at_most = np.diff(bdtrc(half - (n % 2 == 0), n, (places + 1) / n), prepend=0.0)
    if n % 2:
        return np.array([places, places]), at_most
    # i is the half-th smallest, j the next: `half` of the n draws are i or less, one of them i, the others j or more:
    # C(n, half) · ((i+1)^half − i^half) · ((n−j)^half − (n−j−1)^half) / n^n, whose factors no float could hold.
    first, second = np.triu_indices(len(places), 1)
    i, j = places[first], places[second]
    ways = math.comb(n, half) / 2**n
    nearly = ways * np.exp(half * (np.log(2 * (i + 1) / n) + np.log(2 * (n - j) / n)))
    apart = nearly * -np.expm1(half * _log(i / (i + 1))) * -np.expm1(half * _log((n - j - 1) / (n - j)))
    same = at_most - np.bincount(first, apart, minlength=len(places))
    pairs = np.concatenate([np.array([places, places]), np.array([i, j])], axis=1)
    return pairs, np.maximum(np.concatenate([same, apart]), 0.0)


def _log(share: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(share)
