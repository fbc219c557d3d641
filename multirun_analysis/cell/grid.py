"""Grid: cells laid out by depth × norm × τ, one cell a position, for figures."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from multirun_analysis.cell.layout import NONE as NONE
from multirun_analysis.cell.layout import Pivot, pivot, places_of

KEYS = ("arch.depth", "arch.norm", "tau")


@dataclass(frozen=True)
class Grid:
    """Cells by position.

    Attributes:
        depths: ascending, as text.
        norms: sorted; a single one is not worth a heading.
        taus: labels, from the largest τ to the smallest (exponent rising, then scale falling).
    """

    pivot: Pivot
    depths: tuple[str, ...]
    norms: tuple[str, ...]
    taus: tuple[str, ...]

    @property
    def cells(self) -> pd.DataFrame:
        return self.pivot.cells

    def at(self, depth: str, norm: str, tau: str) -> "pd.Series[Any] | None":
        """The cell at a position, or None where the sweep has none."""
        return self.pivot.at((depth,), (norm, tau))

    def taus_of(self, norm: str) -> list[str]:
        """The τ that occur with a norm."""
        return [tau for tau in self.taus if (norm, tau) in self.pivot.columns]

    @property
    def columns(self) -> list[tuple[str, str]]:
        """The (norm, τ) that occur, norm by norm."""
        return [(norm, tau) for norm in self.norms for tau in self.taus_of(norm)]


def grid(cells: pd.DataFrame) -> Grid:
    """Lay out what `cells()` returned; a key that it lacks is `–` everywhere.

    Raises:
        BadInput: two cells fall on one position; the message names the keys in which they differ.
    """
    whole = cells.assign(**{key: None for key in KEYS if key not in cells})
    whole.attrs["keys"] = [*cells.attrs["keys"], *(key for key in KEYS[:2] if key not in cells)]
    layout = pivot(whole, KEYS[:1], KEYS[1:])
    taus = tuple(tau for (tau,) in places_of(whole, KEYS[2:]))
    norms = tuple(dict.fromkeys(norm for norm, _ in layout.columns))
    return Grid(layout, tuple(depth for (depth,) in layout.rows), norms, taus)


def remarks(cell: "pd.Series[Any]") -> list[str]:
    """What there is to say of a cell beside its mean: the runs that are not in it."""
    said = [f"diverged {cell['diverged']}/{cell['finished']}"] if cell["diverged"] else []
    if without := cell["finished"] - cell["diverged"] - cell["n"]:
        said.append(f"{without} without value")
    return [*said, *(cell[what] for what in ("unfinished", "missing") if cell[what])]
