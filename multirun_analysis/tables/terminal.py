"""Terminal: tables as they are printed. Everything from a sweep is `Text`, so square brackets in it mean nothing."""

import math
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from multirun_analysis.cell.layout import Pivot
from multirun_analysis.labels.values import NONE, number, short
from multirun_analysis.tables.entry import Statistic, entry, signed
from multirun_analysis.tables.headings import heading_of

if TYPE_CHECKING:
    from multirun_analysis.cell.comparison import Comparison


def to_rich(layout: Pivot, statistic: Statistic = Statistic.SD) -> Table:
    """For a terminal. Everything from a sweep is `Text`, so that square brackets in it mean nothing."""
    table = Table()
    for key in layout.row_keys:
        table.add_column(Text(short(key)), justify="right")
    for column in layout.columns:
        table.add_column(Text(heading_of(layout, column, "\n")), justify="right")
    for row in layout.rows:
        entries = (entry(layout.at(row, column), statistic) for column in layout.columns)
        table.add_row(*map(Text, (*row, *entries)))
    return table


def of_comparison(found: "Comparison") -> list[Table | Text]:
    """For a terminal: the cells of both, then what only one has, each part with its heading."""
    parts: list[Table | Text] = []
    for heading, rows in found.parts.items():
        parts.append(Text(f"\n{heading}" if parts else heading))
        if rows is not found.cells:
            parts.append(_plain(rows))
        elif rows.empty:
            parts.append(Text("no cell in common; --ignore the keys below in which they may differ"))
        else:
            table = Table(box=None, pad_edge=False)
            for name in ("cell", "first", "second", "difference", "seeds"):
                table.add_column(name, justify="left" if name == "cell" else "right")
            for row in rows.to_dict("records"):
                table.add_row(*map(Text, _compared(row, found.value)))
            parts.append(table)
    return parts


def _compared(row: dict[Any, Any], value: str) -> tuple[str, ...]:
    means = []
    for one in ("first", "second"):
        mean, gone = row[f"mean_{one}"], row[f"diverged_{one}"]
        shown = [] if math.isnan(mean) else [number(mean, value)]
        means.append(", ".join([*shown, *([f"diverged {gone}"] if gone else [])]) or NONE)
    change = NONE
    if not math.isnan(row["difference"]):
        change = signed(row["difference"], value)
        if not math.isnan(row["low"]):
            change += f" [{signed(row['low'], value)}, {signed(row['high'], value)}]"
    seeds = f"{row['pairs']} pairs" if row["pairs"] else f"{row['n_first']} and {row['n_second']}"
    return str(row["cell"]), *means, change, seeds


def _plain(rows: pd.DataFrame, most: int = 20) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in rows.columns:
        table.add_column(str(name))
    for row in rows.head(most).itertuples(index=False):
        table.add_row(*(Text(str(item)) for item in row))
    if len(rows) > most:
        table.add_row(f"… and {len(rows) - most} more")
    return table
