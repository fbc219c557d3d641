"""Collect: a sweep directory becomes pandas tables, one row a run, and one row a run and epoch.

A run that cannot be read is neither fatal nor dropped: it is listed with the reason.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from multirun_analysis.epochs import read_epochs
from taunode.errors import BadInput
from taunode.runs.directory import NewerFormat, RunDirectory, SweepDirectory
from taunode.runs.signature import flatten
from taunode.runs.state import derive, observe
from taunode.runs.where import Where

# What damaged files raise on their way through YAML, JSON and the record's fields. Nothing in them is executed.
UNREADABLE = (BadInput, OSError, yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError)


@dataclass
class Sweep:
    """The runs of a sweep directory, or the one of a run directory.

    Attributes:
        path: the directory as it was given.
        runs: one row a run: `run` (directory name), `path`, the flattened configuration (`arch.depth`, `seed`, …;
            lists as tuples, NA where a run lacks a key), `tau` (label), `state` (derived), `signature`, the facts
            of planning (`tau_value`, `blocks`, `parameters`, …), the summary (`final_test_error` in percent,
            `seconds`, …) and `attempts` (count). `runs.attrs["keys"]` lists the columns of the configuration.
        broken: one row a run that could not be read: `run`, `reason`.
    """

    path: Path
    runs: pd.DataFrame
    broken: pd.DataFrame

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row a run and epoch, read when first asked for.

        Columns: `run` (categorical), `epoch`, those of metrics.csv (errors in percent), and `seconds`,
        `images_per_second`, `peak_memory_mb` of timings.csv. The attempt is the one that `done` names, else the
        newest with metrics. Runs whose files cannot be read are added to `broken`.
        """
        table, broken = read_epochs([RunDirectory(path) for path in self.runs["path"]], list(self.runs["run"]))
        self.broken = pd.concat([self.broken, _broken(broken)], ignore_index=True)
        return table


def load(sweep_dir: Path | str, where: str | None = None) -> Sweep:
    """Read a sweep directory, or a run directory as a sweep of one.

    Args:
        sweep_dir: the directory.
        where: a condition on the columns of `runs`, such as `arch.depth >= 56 and state == "done"`; a key that
            only other runs have is null.

    Raises:
        BadInput: no sweep directory; written by a newer taunode; `where` is no condition, or names an unknown key.
    """
    condition = None if where is None else Where(where)
    rows: list[dict[str, Any]] = []
    broken: list[tuple[str, str]] = []
    keys: dict[str, None] = {}
    for run in SweepDirectory.open(sweep_dir):
        name = os.path.basename(os.path.abspath(run.path))
        try:
            config, rest = _read(run)
        except NewerFormat:
            raise
        except UNREADABLE as error:
            broken.append((name, _reason(error)))
            continue
        # In a row our own words win: `tau` is the label, also where the configuration's group tau is null.
        rows.append({"run": name, "path": str(run.path)} | config | rest)
        keys |= dict.fromkeys(key for key in config if key not in rest)
    if condition is not None:
        rows = _select(rows, condition)
    return Sweep(Path(sweep_dir), _table(rows, list(keys)), _broken(broken))


def _read(run: RunDirectory) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run's flattened configuration, and what else its row says."""
    record = run.read_record()
    seen = observe(run, record)
    state = derive(seen)
    rest = {
        "tau": None,  # a column of every sweep, also where a network has none
        "state": state.value,
        "signature": record.signature,
        **record.facts,
        **(seen.done["summary"] if seen.done is not None else {}),  # none of a result that is being done again
        "attempts": seen.attempts,
    }
    return dict(flatten(run.read_config())), rest


def _reason(error: Exception) -> str:
    """One line for a file that could not be read."""
    match error:
        case BadInput():
            text = str(error)
        case OSError():
            text = f"{error.filename}: {error.strerror}"
        case _:
            text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def _select(rows: list[dict[str, Any]], condition: Where) -> list[dict[str, Any]]:
    absent = dict.fromkeys(key for row in rows for key in row)
    return [row for row in rows if condition(absent | row)]


def _table(rows: list[dict[str, Any]], keys: list[str]) -> pd.DataFrame:
    """The rows as a table: the configuration's columns together, each column with the dtype that its values have."""
    names = dict.fromkeys(["run", "path", *keys, "tau", "state", "signature"])
    names |= dict.fromkeys(name for row in rows for name in row)
    table = pd.DataFrame({name: _column([row.get(name) for row in rows]) for name in names})
    table.attrs["keys"] = keys
    return table


def _column(values: list[Any]) -> "pd.Series[Any]":
    """Integers and booleans stay what they are, with NA where one is missing; lists become tuples."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pd.Series(values, dtype="Int64" if None in values else "int64")
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean" if None in values else "bool")
    if kinds in ({float}, {int, float}):
        return pd.Series(values, dtype="float64")
    if kinds == {str}:
        return pd.Series(values)
    return pd.Series([_frozen(value) for value in values], dtype="object")


def _frozen(value: Any) -> Any:
    """A value that can be compared and grouped by: lists as tuples, mappings as tuples of (key, value)."""
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, Mapping):
        return tuple((key, _frozen(item)) for key, item in value.items())
    return value


def _broken(rows: Sequence[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["run", "reason"], dtype="str")
