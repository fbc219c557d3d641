"""Columns: the cells as rows of numbers, CSV and Parquet, for other programs to read."""

import io

import pandas as pd

from multirun_analysis.cell.paired import COLUMNS

POSITION = ("arch.depth", "arch.norm", "tau", "tau.scale", "tau.exponent")
STATISTICS = (
    *("value", "n", "mean", "sd", "low", "high", "median", "median_low", "median_high", "best"),
    *("runs", "finished", "diverged", "unfinished", "missing", "tuned"),
    *COLUMNS,
)


def long(cells: pd.DataFrame) -> pd.DataFrame:
    """One row a cell with its numbers: the keys of its position, the keys that vary, and the statistics."""
    varying = [key for key in cells.attrs["keys"] if cells[key].nunique(dropna=False) > 1]
    shown = [key for key in dict.fromkeys([*POSITION, *varying]) if key in cells]
    return cells[[*shown, *(name for name in STATISTICS if name in cells)]]


def to_csv(cells: pd.DataFrame) -> str:
    return as_csv(long(cells))


def as_csv(table: pd.DataFrame) -> str:
    """The same text for the same table, with every digit of its numbers."""
    return str(table.to_csv(index=False, lineterminator="\n"))


def to_parquet(cells: pd.DataFrame) -> bytes:
    """As CSV, with types; lists and what mixes types become text."""
    table = long(cells).reset_index(drop=True)
    table.attrs = {}
    for name in table.columns[table.dtypes == "object"]:
        table[name] = table[name].map(str, na_action="ignore")
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()
