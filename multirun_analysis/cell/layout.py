"""Pivot: cells laid out by any keys in rows and columns, one cell a position."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from multirun_analysis.cell.naming import telling_keys
from multirun_analysis.labels.values import NONE as NONE
from multirun_analysis.labels.values import literal, short, texts
from taunode.errors import BadInput, nearest

Place = tuple[str, ...]  # a label for each key


@dataclass(frozen=True)
class Pivot:
    """Cells by position.

    Attributes:
        cells: what `cells()` returned.
        row_keys, column_keys: what they are laid out by.
        rows, columns: the labels that occur, in the order of their values: numbers ascending, τ descending.
    """

    cells: pd.DataFrame
    row_keys: tuple[str, ...]
    column_keys: tuple[str, ...]
    rows: tuple[Place, ...]
    columns: tuple[Place, ...]
    places: dict[tuple[Place, Place], int]  # (row, column) → row of cells

    def at(self, row: Place, column: Place) -> "pd.Series[Any] | None":
        """The cell at a position, or None where the sweep has none."""
        found = self.places.get((row, column))
        return None if found is None else self.cells.iloc[found]


def default_keys(cells: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Rows and columns where nothing is said: depth × (norm ×) τ, else the keys that tell cells apart."""
    keys = list(cells.attrs["keys"])
    if "arch.depth" in cells and cells["arch.depth"].notna().all():
        norm = ["arch.norm"] if "arch.norm" in cells and cells["arch.norm"].nunique(dropna=False) > 1 else []
        return ["arch.depth"], [*norm, "tau"]
    telling = telling_keys(cells, keys) or keys[:1]
    return telling[:1], telling[1:]


def pivot(cells: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> Pivot:
    """Lay out what `cells()` returned. Without columns there is one, for all cells.

    Raises:
        BadInput: a key that there is not; two cells fall on one position (the message names the keys that differ).
    """
    valid = [*cells.attrs["keys"], "tau"]
    for key in (*rows, *columns):
        if key not in valid:
            raise BadInput(f"{key!r} is not a key of the sweep's configuration; nearest: {nearest(key, valid)}")
    row_labels, column_labels = _labels(cells, rows), _labels(cells, columns)
    places: dict[tuple[Place, Place], int] = {}
    for number, place in enumerate(zip(row_labels, column_labels, strict=True)):
        if place in places:
            chosen = [labels == place for labels in zip(row_labels, column_labels, strict=True)]
            raise BadInput(_collision(cells[chosen], [*rows, *columns], (*place[0], *place[1])))
        places[place] = number
    return Pivot(cells, tuple(rows), tuple(columns), places_of(cells, rows), places_of(cells, columns), places)


def _labels(cells: pd.DataFrame, keys: Sequence[str]) -> list[Place]:
    columns = [texts(cells[key].tolist(), key) for key in keys]
    return list(zip(*columns, strict=True)) if columns else [()] * len(cells)


def places_of(cells: pd.DataFrame, keys: Sequence[str]) -> tuple[Place, ...]:
    """The labels of these keys that occur, in the order of their values."""
    labels = _labels(cells, keys)
    order = pd.DataFrame({key: _sortable(cells[key]).to_numpy() for key in keys}, index=range(len(cells)))
    order = order.sort_values(list(order.columns), kind="stable") if keys else order
    return tuple(dict.fromkeys(labels[row] for row in order.index))


def _sortable(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Numbers and ordered labels by themselves, anything else by its text; what is missing comes last."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.replace(-1, len(values.cat.categories))
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return numbers if numbers.notna().equals(values.notna()) else values.astype("str").where(values.notna())


def _collision(rivals: pd.DataFrame, keys: Sequence[str], place: Place) -> str:
    differing = {}
    for key in rivals.attrs["keys"]:
        found = rivals[key].drop_duplicates()
        if len(found) > 1:
            literals = (literal(item) for item in found.tolist())
            differing[key] = sorted(literals, key=lambda text: (len(text), text))  # 5 before 20
    where = ", ".join(f"{short(key)} {said}" for key, said in zip(keys, place, strict=True) if said != NONE)
    said = ", ".join(f"{key} ({', '.join(found)})" for key, found in list(differing.items())[:4])
    more = f", … ({len(differing) - 4} more keys)" if len(differing) > 4 else ""
    key, found = next(iter(differing.items()))
    return (
        f"{where or 'one position'} would hold {len(rivals)} cells, which differ in {said}{more}; "
        f"choose with --where '{key} == {found[0]}'"
    )
