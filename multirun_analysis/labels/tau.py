"""τ: its labels in order, and as the mathematics of LaTeX."""

import math
import re

import pandas as pd

from multirun_analysis.labels.latex import latex

USUAL_BLOCKS = 54  # of ResNet-110, where runs do not say theirs


def in_order_of_tau(runs: pd.DataFrame) -> pd.Categorical:
    """The column `tau` with its labels in order, from the largest τ on.

    They are compared at one number of blocks, the median of these runs; rules without an exponent come last.
    """
    labels = runs[["tau"]].dropna().astype({"tau": "str"})

    def numbers(key: str) -> "pd.Series[float]":
        found = runs.loc[labels.index, key] if key in runs else pd.Series(math.nan, index=labels.index)
        return pd.to_numeric(found, errors="coerce").astype("float64")

    blocks = numbers("blocks").median()
    exponent, scale = numbers("tau.exponent"), numbers("tau.scale").fillna(1.0)
    labels["value"] = -scale * (USUAL_BLOCKS if math.isnan(blocks) else blocks) ** -exponent
    labels["exponent"] = exponent
    ordered = labels.sort_values(["value", "exponent", "tau"])["tau"]
    return pd.Categorical(runs["tau"], list(dict.fromkeys(ordered)), ordered=True)


def tau_math(label: str) -> str:
    r"""A τ label as mathematics: `0.5·L^-1/2` → `$0.5\,L^{-1/2}$`; words after it stay words."""
    match = re.fullmatch(r"(?:(?P<scale>[\d.e+-]+)·)?L\^(?P<power>-?[\d./]+)(?P<words>( .*)?)", label)
    if match:
        scale = rf"{match['scale']}\," if match["scale"] else ""
        return f"${scale}L^{{{match['power']}}}${latex(match['words'])}"
    match = re.fullmatch(r"(?P<scale>[\d.e+-]+)(?P<words>( .*)?)", label)
    return f"${match['scale']}${latex(match['words'])}" if match else latex(label)
