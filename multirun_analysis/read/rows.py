"""Rows, one a run: which of them are chosen, and the table of them."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from multirun_analysis.labels.tau import in_order_of_tau
from taunode.errors import BadInput
from taunode.runs.state import RESULTS
from taunode.runs.where import UnknownKey, Where


class Row(NamedTuple):
    """What is said of a run: its configuration, which other rows may share, and its own, which stands above it."""

    config: dict[str, Any]
    own: dict[str, Any]


def distinct(rows: list[Row]) -> tuple[list[Row], list[tuple[str, str]]]:
    """The rows without those of which another one has the signature, and (run, the one that is kept) of these."""
    kept: dict[str, Row] = {}
    for row in rows:
        own = row.own
        known = kept.setdefault(own["signature"] or own["path"], row).own
        if known["state"] not in RESULTS and own["state"] in RESULTS:
            kept[own["signature"]] = row
    if len(kept) == len(rows):
        return rows, []
    names = {row.own["run"] for row in kept.values()}
    copies = [(own["run"], kept[own["signature"]].own["run"]) for _, own in rows if own["run"] not in names]
    return [row for row in rows if row.own["run"] in names], copies


def select(rows: list[Row], condition: Where) -> tuple[list[Row], list[tuple[str, str]]]:
    """The rows that meet a condition, and (name, reason) of those whose values cannot be compared.

    Raises:
        BadInput: it names an unknown key, or can be told of no row.
    """
    absent = dict.fromkeys(_names(rows))
    met: list[Row] = []
    untold: list[tuple[str, str]] = []
    for row in rows:
        try:
            if condition(absent | row.config | row.own):
                met.append(row)
        except UnknownKey:
            raise
        except BadInput as error:
            untold.append((row.own["run"], str(error)))
            if len(untold) == len(rows):
                raise
    return met, untold


def _names(rows: list[Row]) -> list[str]:
    """The names of all columns, in the order in which they first come."""
    shapes = dict.fromkeys((tuple(config), tuple(own)) for config, own in rows)
    return list(dict.fromkeys(name for config, own in shapes for name in (*config, *own)))


def as_table(rows: list[Row], keys: list[str]) -> pd.DataFrame:
    """The rows as a table: the configuration's columns together, each column with the dtype that its values have."""
    names = dict.fromkeys(["run", "path", "sweep", *keys, "tau", "state", "signature"])
    names |= dict.fromkeys(_names(rows))
    configs = {id(row.config): row.config for row in rows}
    number = {of: number for number, of in enumerate(configs)}
    shared, own = _columns(list(configs.values())), _columns([row.own for row in rows])
    which = np.array([number[id(row.config)] for row in rows], dtype=np.int64)

    def column(name: str) -> "pd.Series[Any]":
        if name not in shared:
            return _column(own.get(name) or [None] * len(rows))
        if name not in own:
            return _column(shared[name]).take(which).reset_index(drop=True)
        return _column([row.own.get(name, row.config.get(name)) for row in rows])

    table = pd.DataFrame({name: column(name) for name in names})
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
    columns: dict[str, list[Any]] = {}
    for names, own in places.items():
        for name, values in zip(names, zip(*(rows[place].values() for place in own), strict=True), strict=True):
            if len(places) == 1:
                columns[name] = list(values)
                continue
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
