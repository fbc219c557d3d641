"""What a run is called: after the overrides that made it, and its signature."""

import re
from collections.abc import Sequence

LONGEST = 120  # characters of the readable part of a name


def override_key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def scientific_overrides(overrides: Sequence[str]) -> list[str]:
    """The overrides that say what a run is: not how or where it is executed. Sorted: their order says nothing."""
    last = {override_key(text): text for text in overrides}  # of several for one key the last counts
    return sorted(text for key, text in last.items() if re.split(r"[./]", key)[0] not in ("hydra", "runtime"))


def run_name(overrides: Sequence[str], keys: Sequence[str], signature_: str) -> str:
    """A run's name: its value of each of the keys, in at most 120 safe characters, and the signature's beginning."""
    values = {override_key(text): text.partition("=")[2] for text in overrides}
    short = [key.rpartition(".")[2] for key in keys]
    parts = [
        f"{short[index] if short.count(short[index]) == 1 else key}={values[key]}"
        for index, key in enumerate(keys)
        if key in values
    ]
    text = re.sub(r"[^A-Za-z0-9._=,+-]+", "_", ",".join(parts)).strip("_,.")[:LONGEST]
    return f"{text or 'run'}-{signature_[:8]}"
