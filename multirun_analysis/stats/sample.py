"""Statistics over seeds: mean, standard deviation and interval, the error of a difference, Fisher's test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sample:
    """What several seeds gave: their number, mean, and standard deviation over n − 1 (NaN below two)."""

    n: int
    mean: float
    sd: float

    @classmethod
    def of(cls, values: "Sequence[float] | np.ndarray[Any, Any]") -> "Sample":
        numbers = np.asarray(values, dtype=np.float64)
        mean = float(numbers.mean()) if len(numbers) else math.nan
        return cls(len(numbers), mean, float(numbers.std(ddof=1)) if len(numbers) > 1 else math.nan)

    @property
    def squared_error(self) -> float:
        """Of the mean; 0 where the spread is not known."""
        return 0.0 if math.isnan(self.sd) or not self.n else self.sd**2 / self.n


def half_width(n: Any, sd: Any, level: float = 0.95) -> Any:
    """Half the width of the confidence interval of a mean: t quantile · sd/√n (Student, 1908); NaN below n = 2.

    Args:
        n, sd: numbers or arrays of one shape; sd over n − 1.
    """
    from scipy.special import stdtrit  # what scipy.stats.t.ppf is; scipy.stats itself takes a second to import

    n = np.asarray(n, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 1, stdtrit(n - 1, 0.5 + level / 2) * sd / np.sqrt(n), np.nan)


def error_of_difference(first: Sample, second: Sample) -> float:
    """The standard error of the difference of two independent means; where one has no sd, that of the other alone."""
    return math.sqrt(first.squared_error + second.squared_error)


def welch(first: Sample, second: Sample, level: float = 0.95) -> float:
    """Half the width of the interval of a difference of independent means (B. L. Welch, 1947); NaN if either n < 2."""
    from scipy.special import stdtrit

    errors = [sample.squared_error for sample in (first, second)]
    if min(first.n, second.n) < 2 or not sum(errors):
        return 0.0 if min(first.n, second.n) > 1 else math.nan
    freedom = sum(errors) ** 2 / sum(e**2 / (s.n - 1) for e, s in zip(errors, (first, second), strict=True))
    return float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(sum(errors))


def fisher_exact(k: int, n: int, other_k: int, other_n: int) -> float:
    """Two-sided p of Fisher's exact test: whether k of n and other_k of other_n can have one probability.

    The sum over all tables with these margins that are no more likely than the one seen (R. A. Fisher, "Statistical
    Methods for Research Workers", 1934, section 21.02). In whole numbers, so that equally likely tables count.
    """
    total = k + other_k
    tables = [
        math.comb(n, i) * math.comb(other_n, total - i) for i in range(max(0, total - other_n), min(n, total) + 1)
    ]
    seen = math.comb(n, k) * math.comb(other_n, other_k)
    return sum(table for table in tables if table <= seen) / sum(tables)
