"""The signature: a 128-bit hash of a run's scientific configuration, so that one experiment is one run.

Two ways to say one run are one run: key order, 1 or 1.0, an option or the keys it sets, a key that came later or its
absence (`taunode.absent`). What does not change the mathematics does not enter: `runtime`, how memory is saved, and
where data lie (their fingerprint enters).
"""

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from taunode.absent import absent_values
from taunode.runs.history import GROUPS, MOVED, RENAMED

UNSIGNED = frozenset({"arch.checkpoint_segments", "dataset.train", "dataset.test", "embedding.weights"})
FIRST = frozenset({"tau", "embedding", "solver"})  # groups that were signed as null; a later one is left out
_signed_keys = {today: before for before, today in MOVED.items()}
_signed_targets = {today: before for before, today in RENAMED.items()}


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a nested mapping as (dotted key, value); lists are leaves."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _canonical(value: Any) -> Any:
    if isinstance(value, float):
        if value.is_integer():
            return int(value)  # 1 = 1.0, and -0.0 = 0
        return None if math.isnan(value) else value  # a table's missing value; no configuration has it
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value


def _text(value: Any) -> str:
    """Equal for equal values only: 1 is not true."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def is_scientific(key: str) -> bool:
    """Whether a key, flattened, changes the mathematics."""
    return key not in UNSIGNED and not key.startswith("runtime.")


def _signable(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _canonical(value) for key, value in sorted(keys.items()) if is_scientific(key)}


def _absent(keys: Mapping[str, Any]) -> dict[str, Any]:
    """What the absence of a flattened key means where that is said, for the classes that these keys name."""
    found: dict[str, Any] = {f"{group}._target_": target for group, target in GROUPS.items()}
    found |= {key: None for key in keys if "." not in key and key not in FIRST}
    for key, target in keys.items():
        if key.endswith("_target_") and isinstance(target, str):
            prefix = key.removesuffix("_target_")
            found |= {f"{prefix}{name}": _canonical(value) for name, value in absent_values(target).items()}
    return found


def at_absence(keys: Mapping[str, Any]) -> set[str]:
    """The keys of a flattened configuration whose value is what their absence means."""
    absent = _absent(keys)
    return {key for key, value in keys.items() if key in absent and _text(_canonical(value)) == _text(absent[key])}


def scientific(config: Mapping[str, Any]) -> dict[str, Any]:
    """The flattened keys that a signature covers, in canonical form; those at their absent value are left out."""
    keys = dict(flatten(config))
    left_out = at_absence(keys)
    return {key: value for key, value in _signable(keys).items() if key not in left_out}


def signature(config: Mapping[str, Any]) -> str:
    """32 hex digits for a frozen configuration."""
    signed = {
        _signed_keys.get(key, key): _signed_targets.get(value, value) if key.endswith("_target_") else value
        for key, value in scientific(config).items()
    }
    return hashlib.blake2b(_text(signed).encode(), digest_size=16).hexdigest()


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The scientific keys in which two configurations differ: key → (value in the first, in the second).

    A key that one of them lacks counts there as what its absence means, which is null where nothing else is said.
    """
    pair = [_signable(dict(flatten(config))) for config in (first, second)]
    a, b = ({**_absent(keys), **keys} for keys in pair)
    keys = [key for key in sorted(pair[0].keys() | pair[1].keys()) if _text(a.get(key)) != _text(b.get(key))]
    return {key: (a.get(key), b.get(key)) for key in keys}


def departures(
    keys: Mapping[str, Any], protocol: Mapping[str, Any], free: Collection[str] = ()
) -> dict[str, tuple[Any, Any]]:
    """The scientific keys in which a run departs from a protocol: key → (the run's value, the protocol's).

    A key that the protocol does not name must have the value that its absence means (null, where nothing is said), so
    that no key that comes later goes unseen.

    Args:
        keys: the run's configuration, flattened; in a table's row None or NaN stands for what is null or not there.
        protocol: keys, flattened, with the values that they must have.
        free: keys that may have any value: the seed, what a data set adds.
    """
    ours, theirs = _signable(keys), {key: _canonical(value) for key, value in protocol.items()}
    absent = _absent(keys)
    found = {}
    for key in sorted((ours.keys() | theirs.keys()) - set(free)):
        value, expected = (given.get(key, absent.get(key)) for given in (ours, theirs))
        if _text(value) != _text(expected):
            found[key] = (value, expected)
    return found
