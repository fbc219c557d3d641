"""The signature: a 128-bit hash of a run's scientific configuration, so that one experiment is one run.

Two ways to say one run are one run: key order, 1 or 1.0, an option or the keys it sets. What does not change the
mathematics does not enter: `runtime`, how memory is saved, and where data lie (their fingerprint enters).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

UNSIGNED = frozenset({"arch.checkpoint_segments", "dataset.train", "dataset.test", "embedding.weights"})


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a nested mapping as (dotted key, value); lists are leaves."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _canonical(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 1 = 1.0, and -0.0 = 0
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value


def scientific(config: Mapping[str, Any]) -> dict[str, Any]:
    """The flattened keys that a signature covers, in canonical form."""
    return {
        key: _canonical(value)
        for key, value in sorted(flatten(config))
        if key not in UNSIGNED and not key.startswith("runtime.")
    }


def signature(config: Mapping[str, Any]) -> str:
    """32 hex digits for a frozen configuration."""
    text = json.dumps(scientific(config), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The scientific keys in which two configurations differ: key → (value in the first, in the second).

    A key that one of them lacks counts as null there.
    """
    a, b = scientific(first), scientific(second)
    keys = [key for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]
    return {key: (a.get(key), b.get(key)) for key in keys}
