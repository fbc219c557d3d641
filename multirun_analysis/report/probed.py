"""Probed: the probes of one run as small maps, block × step, for its own page."""

import base64
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.read.probes import ENDS, QUANTITIES

MOST = 96  # rows and columns of a map; of more, evenly spaced ones are shown
LEVELS = 255  # of a logarithmic scale; 0 is no number, or none above zero


def maps(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    """A map a quantity: `title`, `blocks` and `steps` (the numbers of its rows and columns), `low` and `high`, and
    `levels`, a byte a place, row after row, as base64.

    Args:
        table: of `read.probes.of_run`; null without probes.
    """
    if table is None:
        return []
    inner = table[~table["part"].isin(ENDS)]
    found = []
    for name, title in QUANTITIES.items():
        grid = inner.pivot_table(index="block", columns="step", values=name)
        if grid.empty:
            continue
        grid = grid.iloc[_some(len(grid)), _some(len(grid.columns))]
        values = grid.to_numpy(np.float64)
        seen = np.isfinite(values) & (values > 0)
        if not seen.any():
            continue
        low, high = values[seen].min(), values[seen].max()
        span = np.log10(high) - np.log10(low)
        levels = np.zeros(values.shape, np.uint8)
        share = (np.log10(values[seen]) - np.log10(low)) / span if span > 0 else np.full(seen.sum(), 0.5)
        levels[seen] = 1 + np.round((LEVELS - 1) * share)
        found.append(
            {
                "title": title,
                "blocks": grid.index.tolist(),
                "steps": grid.columns.tolist(),
                "low": float(low),
                "high": float(high),
                "levels": base64.b64encode(levels.tobytes()).decode(),
            }
        )
    return found


def _some(count: int) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    """At most MOST of `count` places, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST)).round().astype(np.intp))
