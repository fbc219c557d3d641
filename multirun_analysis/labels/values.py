"""Values: numbers, keys and values of a configuration as a reader sees them."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from multirun_analysis.labels.quantity import words

NONE = "–"  # no value
# The papers' names of the networks that have other ones in the code.
NETWORKS = {
    "CifarResNet": "ResNet",
    "ImageNetResNet": "ImageNet ResNet",
    "RkhsNode": "RKHS",
    "ShlNode": "SHL",
    "RkhsResNet": "RKHS ResNet",
    "ShlResNet": "SHL ResNet",
}


def number(value: float, name: str) -> str:
    """A result as text: errors are percent and get two digits after the point, the others four significant ones."""
    if "error" in words(name):
        return f"{value:.2f}"
    digits = 3 - math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
    return f"{value:.{max(digits, 0)}f}" if 1e-3 <= abs(value) < 1e9 else f"{value:.4g}"


def title(name: str) -> str:
    """`final_test_error` → "final test error (%)"."""
    unit = {"seconds": " (s)"}.get(name, " (%)" if "error" in words(name) else "")
    return name.replace("_", " ") + unit


def short(key: str) -> str:
    """`arch.depth` → `depth`, `tau` → `τ`, `arch._target_` → `network`, `optimizer._target_` → `optimizer`."""
    if key.endswith("._target_"):
        key = key.removesuffix("._target_")
    return {"tau": "τ", "arch": "network"}.get(key, key.rpartition(".")[2])


def text(value: Any, key: str = "") -> str:
    """A value of a configuration; of a class its name alone, of a network of the papers the papers' name."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(text(item) for item in value)}]"
    if is_missing(value):
        return NONE
    if isinstance(value, float):
        return f"{value:.6g}"
    if key.endswith("_target_"):
        name = str(value).rpartition(".")[2]
        return NETWORKS.get(name, name) if str(value).startswith("taunode.models.") else name
    plain = getattr(value, "item", lambda: value)()  # of numpy
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def texts(values: Sequence[Any], key: str = "") -> list[str]:
    """Many values as text: what differs has different texts, if need be longer ones."""
    literals = _literals(values)
    shown = {full: text(value, key) for full, value in dict(zip(literals, values, strict=True)).items()}
    often = Counter(shown.values())
    longer = {full: short if often[short] == 1 else full.strip('"') for full, short in shown.items()}
    told = longer if len(set(longer.values())) == len(longer) else {full: full for full in shown}  # true and "true"
    return [told[full] for full in literals]


def _literals(values: Sequence[Any]) -> list[str]:
    """Each as a condition writes it; thousands of cells have a handful of values."""
    known: dict[tuple[type, Any], str] = {}
    found = []
    for value in values:
        if isinstance(value, tuple | list | dict):  # (1,) equals (True,)
            found.append(literal(value))
            continue
        at = type(value), value
        if at not in known:
            known[at] = literal(value)
        found.append(known[at])
    return found


def literal(value: Any) -> str:
    """A value as a condition writes it."""
    if isinstance(value, tuple):
        return f"[{', '.join(literal(item) for item in value)}]"
    if is_missing(value):
        return "null"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(float(value)).removesuffix(".0") if isinstance(value, float) else text(value)


def is_missing(value: Any) -> bool:
    return not isinstance(value, tuple | list | dict) and bool(pd.isna(value))
