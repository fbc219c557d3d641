"""Values: numbers, keys and values of a configuration as a reader sees them."""

import math
from typing import Any


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


def short(key: str) -> str:
    """`arch.depth` → `depth`, `tau` → `τ`, `arch._target_` → `network`."""
    return {"tau": "τ", "arch._target_": "network"}.get(key, key.rpartition(".")[2])


def label(key: str, value: Any) -> str:
    """A value as text; of a class its name without the module."""
    return str(value).rpartition(".")[2] if key.endswith("._target_") else str(value)
