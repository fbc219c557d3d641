"""Labels: numbers, values and τ as a reader sees them, in plain text and in the mathematics of LaTeX."""

import math
import re

import pandas as pd

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "·": r"$\cdot$",
    "τ": r"$\tau$",
    "Δ": r"$\Delta$",
    "−": "$-$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "√": r"$\surd$",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def number(value: float, name: str) -> str:
    """A value as text: errors are percent and get two digits after the point, the others four significant ones."""
    if name.endswith("_error"):
        return f"{value:.2f}"
    digits = 3 - math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
    return f"{value:.{max(digits, 0)}f}" if 1e-3 <= abs(value) < 1e9 else f"{value:.4g}"


def title(name: str) -> str:
    """`final_test_error` → "final test error (%)"."""
    unit = {"seconds": " (s)"}.get(name, " (%)" if name.endswith("_error") else "")
    return name.replace("_", " ") + unit


def latex(text: str) -> str:
    """Plain text with LaTeX's special characters escaped; what its standard fonts lack becomes `[U+4E2D]`."""
    return "".join(SPECIAL.get(character) or _in_latin(character) for character in text)


def _in_latin(character: str) -> str:
    return character if character.isascii() or "À" <= character <= "ÿ" else f"[U+{ord(character):04X}]"


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
