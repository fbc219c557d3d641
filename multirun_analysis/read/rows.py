"""Rows, one a run: which of them are chosen, and the table of them."""

from typing import Any

import pandas as pd

from multirun_analysis.labels.tau import in_order_of_tau
from taunode.errors import BadInput
from taunode.runs.state import RESULTS
from taunode.runs.where import UnknownKey, Where


def distinct(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """The rows without those of which another one has the signature, and (run, the one that is kept) of these."""
    kept: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = kept.setdefault(row["signature"] or row["path"], row)
        if known["state"] not in RESULTS and row["state"] in RESULTS:
            kept[row["signature"]] = row
    if len(kept) == len(rows):
        return rows, []
    names = {row["run"] for row in kept.values()}
    copies = [(row["run"], kept[row["signature"]]["run"]) for row in rows if row["run"] not in names]
    return [row for row in rows if row["run"] in names], copies


def select(rows: list[dict[str, Any]], condition: Where) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """The rows that meet a condition, and (name, reason) of those whose values cannot be compared.

    Raises:
        BadInput: it names an unknown key, or can be told of no row.
    """
    absent = dict.fromkeys(_names(rows))
    met: list[dict[str, Any]] = []
    untold: list[tuple[str, str]] = []
    for row in rows:
        try:
            if condition(absent | row):
                met.append(row)
        except UnknownKey:
            raise
        except BadInput as error:
            untold.append((row["run"], str(error)))
            if len(untold) == len(rows):
                raise
    return met, untold


def _names(rows: list[dict[str, Any]]) -> list[str]:
    """The names of all columns, in the order in which they first come."""
    return list(dict.fromkeys(name for shape in dict.fromkeys(map(tuple, rows)) for name in shape))


def as_table(rows: list[dict[str, Any]], keys: list[str]) -> pd.DataFrame:
    """The rows as a table: the configuration's columns together, each column with the dtype that its values have."""
    names = dict.fromkeys(["run", "path", "sweep", *keys, "tau", "state", "signature"])
    names |= dict.fromkeys(_names(rows))
    table = pd.DataFrame({name: _column([row.get(name) for row in rows]) for name in names})
    table["tau"] = in_order_of_tau(table)
    if "arch.depth" in table and pd.api.types.is_numeric_dtype(table["arch.depth"]) and "depth" not in table:
        depths = pd.Index(sorted(table["arch.depth"].dropna().unique()))
        labels = table["arch.depth"].map({depth: f"{depth:g}" for depth in depths})
        table["depth"] = pd.Categorical(labels, [f"{depth:g}" for depth in depths], ordered=True)
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
    if isinstance(value, dict):
        return tuple((key, _frozen(item)) for key, item in value.items())
    return value
