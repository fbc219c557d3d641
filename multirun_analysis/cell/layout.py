"""Pivot: cells laid out by any keys in rows and columns, one cell a position."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from multirun_analysis.cell.naming import telling_keys
from multirun_analysis.labels.values import NONE as NONE
from multirun_analysis.labels.values import literal, short, texts
from taunode.errors import BadInput, nearest

WIDEST = 8  # columns
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


def default_keys(
    cells: pd.DataFrame, rows: Sequence[str] | None = None, columns: Sequence[str] | None = None
) -> tuple[list[str], list[str]]:
    """Rows and columns where one or both are not said: the fewest keys that tell the cells apart.

    In the rows the depth, else the numeric key with most values, else the key with most; in the columns the others,
    and if that would be more than `WIDEST` those of them with most values are in the rows, too.
    """
    keys, given = list(cells.attrs["keys"]), [*(rows or ()), *(columns or ())]
    check_keys(cells, given)
    if rows is not None and columns is not None:
        return list(rows), list(columns)
    telling = telling_keys(cells, keys, given)
    if given:
        others = telling or [key for key in _plain(cells) if key not in given][:1]
        return (list(rows), others) if rows is not None else (others, list(columns or ()))
    if not telling or telling == ["arch.depth"] or (telling == ["tau"] and "arch.depth" in cells):
        plain = _plain(cells)
        return plain[:1], plain[1:]
    first = axis_of(cells, telling) or max(telling, key=lambda key: cells[key].nunique(dropna=False))
    inside, across = [first], [key for key in telling if key != first]
    while len(cells[across].drop_duplicates()) > WIDEST:
        inside.append(max(across, key=lambda key: cells[key].nunique(dropna=False)))
        across.remove(inside[-1])
    return inside, across


def _plain(cells: pd.DataFrame) -> list[str]:
    """Where nothing but these varies: the depth against τ, or whatever key there is."""
    found = [key for key in ("arch.depth", "tau") if key in cells and cells[key].notna().any()]
    return found or list(cells.attrs["keys"])[:1]


def axis_of(cells: pd.DataFrame, keys: Sequence[str]) -> str | None:
    """The numeric key with most values, the depth before all others; None where there is none."""
    numeric = [key for key in keys if is_number(cells[key])]
    if "arch.depth" in numeric:
        return "arch.depth"
    return max(numeric, key=lambda key: cells[key].nunique(), default=None)


def is_number(column: "pd.Series[Any]") -> bool:
    """Whether all values of a column that are there are numbers, and there are two at least."""
    numeric = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
    return bool(numeric and column.nunique() > 1)


def pivot(cells: pd.DataFrame, rows: Sequence[str], columns: Sequence[str]) -> Pivot:
    """Lay out what `cells()` returned. Without columns there is one, for all cells.

    Raises:
        BadInput: a key that there is not; two cells fall on one position (the message names the keys that differ).
    """
    check_keys(cells, [*rows, *columns])
    row_labels, column_labels = _labels(cells, rows), _labels(cells, columns)
    places: dict[tuple[Place, Place], int] = {}
    for number, place in enumerate(zip(row_labels, column_labels, strict=True)):
        if place in places:
            chosen = [labels == place for labels in zip(row_labels, column_labels, strict=True)]
            raise BadInput(_collision(cells[chosen], [*rows, *columns], (*place[0], *place[1])))
        places[place] = number
    return Pivot(cells, tuple(rows), tuple(columns), places_of(cells, rows), places_of(cells, columns), places)


def check_keys(cells: pd.DataFrame, keys: Sequence[str]) -> None:
    """
    Raises:
        BadInput: one of them is not a key of the cells.
    """
    valid = [*cells.attrs["keys"], "tau"]
    for key in keys:
        if key not in valid:
            raise BadInput(f"{key!r} is not a key of the sweep's configuration; nearest: {nearest(key, valid)}")


def _labels(cells: pd.DataFrame, keys: Sequence[str]) -> list[Place]:
    columns = [texts(cells[key].tolist(), key) for key in keys]
    return list(zip(*columns, strict=True)) if columns else [()] * len(cells)


def places_of(cells: pd.DataFrame, keys: Sequence[str]) -> tuple[Place, ...]:
    """The labels of these keys that occur, in the order of their values."""
    return codes_of(cells, keys)[1]


def codes_of(
    cells: pd.DataFrame, keys: Sequence[str]
) -> "tuple[np.ndarray[Any, np.dtype[np.int64]], tuple[Place, ...]]":
    """The labels that occur, in the order of their values, and for each cell the number of its own."""
    labels = _labels(cells, keys)
    order = pd.DataFrame({key: _sortable(cells[key]).to_numpy() for key in keys}, index=range(len(cells)))
    order = order.sort_values(list(order.columns), kind="stable") if keys else order
    places = tuple(dict.fromkeys(labels[row] for row in order.index))
    number = {place: code for code, place in enumerate(places)}
    return np.array([number[label] for label in labels], dtype=np.int64), places


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
        f"add it to --columns, or choose with --where '{key} == {found[0]}'"
    )
