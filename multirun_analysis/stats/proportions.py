"""Proportions: whether k of n and K of N can have one probability, and how far the two may be apart."""

import math

Z = 1.959963984540054  # of the normal distribution, two-sided 95 %


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


def wilson(k: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a probability of which k of n were seen (E. B. Wilson, 1927)."""
    middle, square = (k + Z**2 / 2) / (n + Z**2), k * (n - k) / n + Z**2 / 4
    half = Z * math.sqrt(square) / (n + Z**2)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def newcombe(k: int, n: int, other_k: int, other_n: int) -> tuple[float, float]:
    """The 95 % interval of the first probability minus the other (R. G. Newcombe, 1998, method 10)."""
    p, q = k / n, other_k / other_n
    (low, high), (other_low, other_high) = wilson(k, n), wilson(other_k, other_n)
    return p - q - math.hypot(p - low, other_high - q), p - q + math.hypot(high - p, q - other_low)
