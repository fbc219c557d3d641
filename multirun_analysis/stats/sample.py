"""Sample: what several seeds gave."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sample:
    """The number of seeds, their mean, and their standard deviation over n − 1 (NaN where it is not known)."""

    n: int
    mean: float
    sd: float

    @classmethod
    def of(cls, values: "Sequence[float] | np.ndarray[Any, Any]") -> "Sample":
        numbers = np.asarray(values, dtype=np.float64)
        mean = float(numbers.mean()) if len(numbers) else math.nan
        return cls(len(numbers), mean, float(numbers.std(ddof=1)) if len(numbers) > 1 else math.nan)


def pooled(samples: Sequence[Sample]) -> tuple[float, int]:
    """The sd that samples have in common if their variances are equal, and its degrees of freedom; (NaN, 0) of none.

    Whether they are is for the user to say before the data are there: a test of it first, and pooling where it finds
    nothing, rejects too often.
    """
    known = [sample for sample in samples if sample.n > 1]
    freedom = sum(sample.n - 1 for sample in known)
    squares = sum((sample.n - 1) * sample.sd**2 for sample in known)
    return (math.sqrt(squares / freedom), freedom) if freedom else (math.nan, 0)
