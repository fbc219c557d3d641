"""Protocols: the configuration that a run must have to be compared with a published number, and where one differs.

`protocols.yaml` is generated from the experiments under conf/ (by tests/multirun_analysis/protocols.py): for each one
the keys that all its runs share, and those of each cell. A key of a run that its protocol does not name is a
difference, too: the protocol with another optimizer is another protocol.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd
import yaml

from multirun_analysis.labels.values import text
from multirun_analysis.papers.published import Number
from taunode.runs.signature import departures

SHOWN = 3  # keys
# In which repetitions may differ: the seeds, and where data and embedding are from. The last two tell cells apart.
FREE = frozenset({"seed", "embedding.seed", "dataset.fingerprint", "embedding.fingerprint"})


def protocol(number: Number) -> dict[str, Any]:
    """The configuration, flattened, that a run must have to be compared with a number, without the keys that are null.

    Where the experiment has no such cell (a depth of another paper's table), what all its runs share.
    """
    experiment = _protocols()[number.experiment]
    for cell in experiment["cells"]:
        expected: dict[str, Any] = experiment["shared"] | cell
        if all(expected.get(key) == value for key, value in number.position.items()):
            return expected
    return {**experiment["shared"], **number.position}


@cache
def _protocols() -> dict[str, Any]:
    text = resources.files("multirun_analysis.papers").joinpath("protocols.yaml").read_bytes()
    loaded: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return loaded


def differing(run: Mapping[Any, Any], keys: Sequence[str], expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The keys in which a run's configuration is not the protocol's, each with both values; None is no value.

    Args:
        run: a row of `Sweep.runs`.
        keys: which of its columns are scientific keys.
    """
    # An empty cell of a table is the key's absence; what that means is said beside the key's parameter.
    ours = {key: value for key in keys if isinstance(value := run.get(key), tuple) or not pd.isna(value)}
    return {
        key: (_hashable(value), _hashable(other)) for key, (value, other) in departures(ours, expected, FREE).items()
    }


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def reason_of(keys: Mapping[str, tuple[Any, Any]]) -> str:
    """The keys in which the protocol is another one, those a user chose before what follows from them."""
    ordered = sorted(keys, key=lambda key: (key.endswith("._target_"), not key.endswith(".name")))
    said = [f"{key} {_said(keys[key][0])}, not {_said(keys[key][1])}" for key in ordered]
    more = [f"… ({len(said) - SHOWN} more)"] if len(said) > SHOWN else []
    return "; ".join([*said[:SHOWN], *more])


def _said(value: Any) -> str:
    return "null" if value is None else text(value)
