"""Grid: cells laid out by depth × norm × τ, one cell a position, for tables and figures alike."""

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from taunode.errors import BadInput

NONE = "–"  # a key that a run does not have, and a position without a cell


@dataclass(frozen=True)
class Grid:
    """Cells by position.

    Attributes:
        cells: what `cells()` returned.
        depths: ascending, as text.
        norms: sorted; a single one is not worth a heading.
        taus: labels, from the largest τ to the smallest (exponent rising, then scale falling).
    """

    cells: pd.DataFrame
    depths: tuple[str, ...]
    norms: tuple[str, ...]
    taus: tuple[str, ...]
    places: dict[tuple[str, str, str], int]  # (depth, norm, τ) → row of cells

    def at(self, depth: str, norm: str, tau: str) -> "pd.Series[Any] | None":
        """The cell at a position, or None where the sweep has none."""
        row = self.places.get((depth, norm, tau))
        return None if row is None else self.cells.iloc[row]

    def taus_of(self, norm: str) -> list[str]:
        """The τ that occur with a norm."""
        return [tau for tau in self.taus if any(place[1:] == (norm, tau) for place in self.places)]

    @property
    def columns(self) -> list[tuple[str, str]]:
        """The (norm, τ) that occur, norm by norm."""
        return [(norm, tau) for norm in self.norms for tau in self.taus_of(norm)]


def grid(cells: pd.DataFrame) -> Grid:
    """Lay out what `cells()` returned.

    Raises:
        BadInput: two cells fall on one position; the message names the keys in which they differ.
    """
    depths, norms = _labels(cells, "arch.depth"), _labels(cells, "arch.norm")
    taus = _labels(cells, "tau")
    places: dict[tuple[str, str, str], int] = {}
    for row, position in enumerate(zip(depths, norms, taus, strict=True)):
        if position in places:
            raise BadInput(_collision(cells, position, [depths, norms, taus]))
        places[position] = row
    by_value = [key for key in ("tau.exponent", "tau.scale") if key in cells]
    order = cells[by_value].assign(tau=taus)
    if by_value:
        order = order.sort_values([*by_value, "tau"], ascending=[key != "tau.scale" for key in [*by_value, "tau"]])
    return Grid(
        cells,
        depths=tuple(dict.fromkeys(depths)),
        norms=tuple(sorted(set(norms))),
        taus=tuple(dict.fromkeys(order["tau"])),
        places=places,
    )


def remarks(cell: "pd.Series[Any]") -> list[str]:
    """What there is to say of a cell beside its mean: the runs that are not in it."""
    said = [f"diverged {cell['diverged']}/{cell['finished']}"] if cell["diverged"] else []
    if without := cell["finished"] - cell["diverged"] - cell["n"]:
        said.append(f"{without} without value")
    return [*said, cell["unfinished"]] if cell["unfinished"] else said


def _labels(cells: pd.DataFrame, key: str) -> list[str]:
    if key not in cells:
        return [NONE] * len(cells)
    return [NONE if pd.isna(label) else str(label) for label in cells[key].tolist()]


def _collision(cells: pd.DataFrame, position: tuple[str, str, str], labels: list[list[str]]) -> str:
    rivals = cells[[place == position for place in zip(*labels, strict=True)]]
    differing = {}
    for key in cells.attrs["keys"]:
        found = rivals[key].drop_duplicates()
        if len(found) > 1:
            literals = (_literal(item) for item in found.tolist())
            differing[key] = sorted(literals, key=lambda text: (len(text), text))  # 5 before 20
    depth, norm, tau = position
    place = ", ".join(
        f"{word} {label}" for word, label in (("depth", depth), ("norm", norm), ("τ", tau)) if label != NONE
    )
    keys = ", ".join(f"{key} ({', '.join(found)})" for key, found in list(differing.items())[:4])
    more = f", … ({len(differing) - 4} more keys)" if len(differing) > 4 else ""
    key, found = next(iter(differing.items()))
    return (
        f"{place or 'one position'} would hold {len(rivals)} cells, which differ in {keys}{more}; "
        f"choose with --where '{key} == {found[0]}'"
    )


def _literal(value: Any) -> str:
    """A value as a condition writes it."""
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if pd.isna(value):
        return "null"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
