"""τ: its labels in order, and as the mathematics of LaTeX."""

import re

import pandas as pd

from multirun_analysis.labels.latex import latex


def in_order_of_tau(runs: pd.DataFrame) -> pd.Categorical:
    """The column `tau` with its labels in order, from the largest τ on: the exponent rises, then the scale falls."""
    labels = runs[["tau"]].dropna().astype({"tau": "str"})
    for key, sign in (("tau.exponent", 1), ("tau.scale", -1)):
        values = runs.loc[labels.index, key] if key in runs else pd.Series(0.0, index=labels.index)
        labels[key] = sign * pd.to_numeric(values, errors="coerce").astype("float64")
    ordered = labels.sort_values(["tau.exponent", "tau.scale", "tau"])["tau"]
    return pd.Categorical(runs["tau"], list(dict.fromkeys(ordered)), ordered=True)


def tau_math(label: str) -> str:
    r"""A τ label as mathematics: `0.5·L^-1/2` → `$0.5\,L^{-1/2}$`; words after it stay words."""
    match = re.fullmatch(r"(?:(?P<scale>[\d.e+-]+)·)?L\^(?P<power>-?[\d./]+)(?P<words>( .*)?)", label)
    if match:
        scale = rf"{match['scale']}\," if match["scale"] else ""
        return f"${scale}L^{{{match['power']}}}${latex(match['words'])}"
    match = re.fullmatch(r"(?P<scale>[\d.e+-]+)(?P<words>( .*)?)", label)
    return f"${match['scale']}${latex(match['words'])}" if match else latex(label)
