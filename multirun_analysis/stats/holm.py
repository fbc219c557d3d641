"""Holm: many tests in one command, and still at most one command in twenty that finds what is not there."""

from collections.abc import Sequence


def holm(values: Sequence[float]) -> list[float]:
    """p values adjusted for their number (S. Holm, 1979), however they depend on each other, in the order given."""
    adjusted = [0.0] * len(values)
    largest = 0.0
    for place, number in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min((len(values) - place) * values[number], 1.0))
        adjusted[number] = largest
    return adjusted
