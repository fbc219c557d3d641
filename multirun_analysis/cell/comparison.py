"""Compare: two sweeps aligned by scientific configuration: the difference of each cell, and what only one of them has.

Differences are second − first: seed by seed where most seeds are common, else of independent means; see `paired`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from multirun_analysis.cell.cells import cells, default_value, keys_of, number_of
from multirun_analysis.cell.naming import called, telling_keys
from multirun_analysis.cell.paired import differences, values_of
from multirun_analysis.read.sweep import UNREADABLE, Sweep
from taunode.errors import BadInput, nearest
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.files import read_yaml
from taunode.runs.state import RESULTS, State

Facts = dict[str, set[str]]


@dataclass(frozen=True)
class Comparison:
    """Two sweeps, aligned.

    Attributes:
        names: of the two.
        cells: one row a cell of both: `cell` (its name), `n_first`, `mean_first`, `diverged_first` (as k/n, empty
            where none did), the same of the second, `pairs` (common seeds; 0 where the means are independent),
            `difference`, `low`, `high` (95 % interval).
        alone: one row a run without a partner of the same configuration and seed: `sweep`, `cell`, `seed`, `run`.
        keys: one row a key whose values differ: `key`, `first`, `second` (all its values, as text).
        code: the same of commits, digests and versions: `what`, `first`, `second`.
    """

    names: tuple[str, str]
    value: str
    cells: pd.DataFrame
    alone: pd.DataFrame
    keys: pd.DataFrame
    code: pd.DataFrame

    @property
    def parts(self) -> dict[str, pd.DataFrame]:
        """The tables by their headings, without those that are empty."""
        about = f"{self.value}: {self.names[1]} − {self.names[0]}, 95 % interval"
        rest = {"runs that only one has": self.alone, "keys that differ": self.keys, "code that differs": self.code}
        return {about: self.cells} | {heading: rows for heading, rows in rest.items() if len(rows)}

    def __str__(self) -> str:
        return "\n\n".join(f"{heading}\n{rows.to_string(index=False)}" for heading, rows in self.parts.items())

    def _repr_html_(self) -> str:
        return "".join(f"<h4>{escape(heading)}</h4>{rows.to_html(index=False)}" for heading, rows in self.parts.items())


def compare(both: Sweep, value: str | None = None, ignore: Sequence[str] = ()) -> Comparison:
    """Compare the two sweeps that were loaded together, `load(first, second, once=False)`.

    Args:
        value: a column of the runs.
        ignore: keys in which the cells may differ; the seed and what does not change the mathematics always may.

    Raises:
        BadInput: they are not two; no such key or value.
    """
    if len(both.paths) == 1:
        raise BadInput(f"compare needs two sweeps, got {both.path} alone")
    if len(both.paths) != 2 or len(both.copies):
        raise BadInput(f"compare needs two sweeps with all their runs (once=False), got {both.path}")
    runs = both.runs
    value = value or default_value(runs)
    keys = keys_of(runs)
    for key in ignore:
        if key not in keys:
            raise BadInput(f"--ignore {key}: not a key of the configuration; nearest: {nearest(key, keys)}")
    aligned = runs.copy()
    aligned.attrs = {"keys": [key for key in runs.attrs["keys"] if key not in ignore]}
    aligned["cell"] = number_of(aligned)
    names = (str(both.paths[0]), str(both.paths[1]))
    halves = tuple(aligned[aligned["sweep"] == name] for name in names)
    for half in halves:
        half.attrs = aligned.attrs
    every = cells(aligned, value)  # in the order of their values
    telling = telling_keys(every, every.attrs["keys"])
    called_so = {int(row["cell"]): called(row, telling) or "all runs" for row in every.to_dict("records")}
    return Comparison(
        names,
        value,
        _cells(halves, value, called_so),
        _alone(halves, called_so),
        _differing({key: [_values(half[key]) for half in halves] for key in keys}, "key"),
        _differing(
            _by_name([_code(where, half["path"]) for where, half in zip(both.directories, halves, strict=True)]), "what"
        ),
    )


def _cells(halves: Sequence[pd.DataFrame], value: str, names: Mapping[int, str]) -> pd.DataFrame:
    first, second = (values_of(half, value, half["cell"]) for half in halves)
    # The number of a cell is that of both sweeps together.
    common = set(halves[0]["cell"]) & set(halves[1]["cell"])
    found = differences(second, first, {cell: cell for cell in names if cell in common})
    sides: dict[str, Any] = {}
    for which, half, values in zip(("first", "second"), halves, (first, second), strict=True):
        sides |= {f"n_{which}": values.groupby("cell").size(), f"mean_{which}": values.groupby("cell")["value"].mean()}
        sides[f"diverged_{which}"] = _diverged(half)
    rows = []
    for cell, difference in found.items():
        row: dict[str, Any] = {"cell": names[cell]}
        for name, of_cells in sides.items():
            absent = "" if name.startswith("diverged") else math.nan if name.startswith("mean") else 0
            row[name] = of_cells.get(cell, absent)
        row |= {"pairs": difference.pairs, "difference": difference.mean}
        rows.append(row | {"low": difference.low, "high": difference.high})
    return pd.DataFrame(rows)


def _diverged(half: pd.DataFrame) -> dict[int, str]:
    """Of each cell in which some did: k/n of the finished ones."""
    finished = half["state"].isin([result.value for result in RESULTS]).groupby(half["cell"]).sum()
    gone = (half["state"] == State.DIVERGED).groupby(half["cell"]).sum()
    return {int(cell): f"{gone[cell]}/{finished[cell]}" for cell in gone.index[gone > 0]}


def _alone(halves: Sequence[pd.DataFrame], names: Mapping[int, str]) -> pd.DataFrame:
    places = [set(zip(half["cell"], _seeds(half), strict=True)) for half in halves]
    rows = [
        {"sweep": run["sweep"], "cell": names[int(run["cell"])], "seed": seed, "run": run["path"]}
        for half, others in zip(halves, reversed(places), strict=True)
        for run, seed in zip(half.to_dict("records"), _seeds(half), strict=True)
        if (run["cell"], seed) not in others
    ]
    return pd.DataFrame(rows, columns=["sweep", "cell", "seed", "run"])


def _seeds(half: pd.DataFrame) -> list[Any]:
    return half["seed"].tolist() if "seed" in half else [None] * len(half)


def _values(column: "pd.Series[Any]") -> set[str]:
    return {"null" if not isinstance(value, tuple) and pd.isna(value) else str(value) for value in column.tolist()}


def _code(sweep: Path, paths: "pd.Series[str]") -> Facts:
    """Commits and patches of the commands, digests and versions of the attempts; what cannot be read says nothing."""
    facts: Facts = {}

    def note(what: str, which: Any) -> None:
        if which:
            facts.setdefault(what, set()).add(str(which))

    for file in SweepDirectory(sweep).command_files():
        try:
            code = read_yaml(file).get("code") or {}
            for what in ("commit", "patch"):
                note(what, code.get(what))
        except UNREADABLE:
            continue
    for path in paths:
        try:
            for attempt in RunDirectory(path).read_record().attempts:
                note("code digest", attempt.get("code"))
                for what, which in (attempt.get("versions") or {}).items():
                    note(what, which)
        except UNREADABLE:  # of another program
            continue
    return facts


def _by_name(pair: Sequence[Facts]) -> dict[str, list[set[str]]]:
    return {what: [facts.get(what, set()) for facts in pair] for what in dict.fromkeys([*pair[0], *pair[1]])}


def _differing(facts: Mapping[str, Sequence[set[str]]], heading: str) -> pd.DataFrame:
    """The facts whose values are not the same in both."""
    rows = [
        {heading: what, "first": _listed(first), "second": _listed(second)}
        for what, (first, second) in facts.items()
        if first != second
    ]
    return pd.DataFrame(rows, columns=[heading, "first", "second"])


def _in_order(text: str) -> tuple[float, str]:
    """Numbers by value, and after them words."""
    try:
        return float(text), text
    except ValueError:
        return math.inf, text


def _listed(values: set[str], show: int = 6) -> str:
    ordered = sorted(values, key=_in_order)
    more = f", … ({len(ordered) - show} more)" if len(ordered) > show else ""
    return ", ".join(ordered[:show]) + more if ordered else "–"
