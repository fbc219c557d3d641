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
    columns = _columns(rows)
    table = pd.DataFrame({name: _column(columns.get(name) or [None] * len(rows)) for name in names})
    table["tau"] = in_order_of_tau(table)
    if "arch.depth" in table and pd.api.types.is_numeric_dtype(table["arch.depth"]) and "depth" not in table:
        depths = pd.Index(sorted(table["arch.depth"].dropna().unique()))
        labels = table["arch.depth"].map({depth: f"{depth:g}" for depth in depths})
        table["depth"] = pd.Categorical(labels, [f"{depth:g}" for depth in depths], ordered=True)
    table.attrs["keys"] = keys
    return table


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The values of each name, None where a row lacks it; rows with the same names are turned over at once."""
    places: dict[tuple[str, ...], list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(tuple(row), []).append(place)
    if len(places) == 1:
        return dict(zip(rows[0], map(list, zip(*(row.values() for row in rows), strict=True)), strict=True))
    columns: dict[str, list[Any]] = {}
    for names, own in places.items():
        for name, values in zip(names, zip(*(rows[place].values() for place in own), strict=True), strict=True):
            column = columns.setdefault(name, [None] * len(rows))
            for place, value in zip(own, values, strict=True):
                column[place] = value
    return columns


def _column(values: list[Any]) -> "pd.Series[Any]":
    """Integers and booleans stay what they are, with NA where one is missing; lists become tuples."""
    kinds = set(map(type, values))
    some = type(None) in kinds
    kinds.discard(type(None))
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in set(values)):
        return pd.Series(values, dtype="Int64" if some else "int64")
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean" if some else "bool")
    if kinds in ({float}, {int, float}):
        return pd.Series(values, dtype="float64")
    if kinds == {str}:
        return pd.Series(values)
    return pd.Series([_frozen(value) for value in values], dtype="object")


def _frozen(value: Any) -> Any:
    """A value that can be compared and grouped by: lists as tuples, mappings as tuples of (key, value)."""
    if isinstance(value, list):
        try:
            hash(plain := tuple(value))
            return plain
        except TypeError:  # something in it is a list or a mapping
            return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return tuple((key, _frozen(item)) for key, item in value.items())
    return value
