"""What a run is called: after the overrides that made it, and its signature. What a sweep is called: after its
experiment or the keys that it sweeps over, and the options that were typed beside them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from taunode.runs.signature import at_absence, flatten

LONGEST = 120  # characters of the readable part of a name


def override_key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def scientific_overrides(overrides: Sequence[str]) -> list[str]:
    """The overrides that say what a run is: not how or where it is executed. Sorted: their order says nothing."""
    last = {override_key(text): text for text in overrides}  # of several for one key the last counts
    return sorted(text for key, text in last.items() if re.split(r"[./]", key)[0] not in ("hydra", "runtime"))


def shown(keys: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """Those of the keys that a run's name shows: not those whose value is what their absence means."""
    left_out = at_absence(dict(flatten(config)))
    return [key for key in keys if key not in left_out]


def run_name(overrides: Sequence[str], keys: Sequence[str], signature_: str) -> str:
    """A run's name: its value of each of the keys, in at most 120 safe characters, and the signature's beginning."""
    values = {override_key(text): text.partition("=")[2] for text in overrides}
    text = _safe(",".join(_told(values, keys)))[:LONGEST]
    return f"{text or 'run'}-{signature_[:8]}"


def sweep_name(base: str, fixed: Sequence[str]) -> str:
    """A sweep's name: its experiment or the keys that it sweeps over, and the overrides that all its runs have."""
    values = {override_key(text): text.partition("=")[2] for text in fixed}
    parts = _told(values, list(values))
    text = ",".join([base, *map(_safe, parts)])
    if text == ",".join([base, *parts]) and len(text) <= LONGEST:
        return text
    digest = hashlib.blake2b(",".join(parts).encode(errors="surrogateescape"), digest_size=4).hexdigest()
    return f"{text[:LONGEST]}-{digest}"


def _told(values: Mapping[str, str], keys: Sequence[str]) -> list[str]:
    """`key=value` of those keys that have one, with the last part of a key where that is clear."""
    short = [key.rpartition(".")[2] for key in keys]
    return [
        f"{short[index] if short.count(short[index]) == 1 else key}={values[key]}"
        for index, key in enumerate(keys)
        if key in values
    ]


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._=,+-]+", "_", text).strip("_,.")
