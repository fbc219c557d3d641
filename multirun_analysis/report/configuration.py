"""Configuration: in which keys the configurations of a sweep's runs differ, and which they share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from multirun_analysis.labels.values import text

SHOWN = 16  # values of one key


@dataclass(frozen=True)
class Varying:
    """A key with its most frequent values, each with the number of runs that have it; `more` counts the others."""

    key: str
    values: tuple[tuple[str, int], ...]
    more: int


def varying_and_shared(runs: pd.DataFrame) -> tuple[list[Varying], list[tuple[str, str]]]:
    """The keys that vary, and (key, value) of the others."""
    varying, shared = [], []
    for key in sorted(runs.attrs["keys"]):
        counts = Counter(text(value) for value in runs[key].tolist())
        if len(counts) == 1:
            shared.append((key, next(iter(counts))))
        else:
            found = sorted(counts.items(), key=lambda item: (-item[1], len(item[0]), item[0]))
            varying.append(Varying(key, tuple(found[:SHOWN]), len(found[SHOWN:])))
    return varying, shared


def codes(runs: pd.DataFrame, keys: Sequence[str]) -> dict[str, dict[str, list[Any]]]:
    """For each of these keys its `values`, as text, and for each run the place of its own among them."""
    found = {}
    for key in keys:
        places, values = pd.factorize(pd.Series([text(value) for value in runs[key].tolist()]), sort=True)
        found[key] = {"values": list(values), "codes": places.tolist()}
    return found
