"""Tables: cells laid out by any keys, as text, CSV, Markdown, LaTeX and Parquet."""

import io
import math
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from multirun_analysis.grid import remarks
from multirun_analysis.labels import latex, number, tau_math
from multirun_analysis.moment import chosen_by
from multirun_analysis.paired import COLUMNS
from multirun_analysis.pivot import NONE, Pivot, Place
from multirun_analysis.telling import short

if TYPE_CHECKING:
    from multirun_analysis.comparison import Comparison

POSITION = ("arch.depth", "arch.norm", "tau", "tau.scale", "tau.exponent")
STATISTICS = (
    *("value", "n", "mean", "sd", "low", "high", "median", "best"),
    *("runs", "finished", "diverged", "unfinished", "missing"),
    *COLUMNS,
)


class Statistic(StrEnum):
    SD = "sd"  # mean ± sd
    INTERVAL = "interval"  # mean [95 % interval]
    MEDIAN = "median"
    BEST = "best"


IN_WORDS = {
    Statistic.SD: "mean ± sd over n seeds",
    Statistic.INTERVAL: "mean [95 % interval, Student's t] over n seeds",
    Statistic.MEDIAN: "median of n seeds",
    Statistic.BEST: "best of n seeds",
}


def entry(cell: "pd.Series[Any] | None", statistic: Statistic = Statistic.SD) -> str:
    """What a table says of a cell: `6.62 ± 0.12 (n=3)`, `diverged 2/3`, `1 planned`, `–` for a hole.

    With differences: `5.84 ± 0.10 (n=3), Δ −0.78 [−0.95, −0.61] (n=3)`.
    """
    if cell is None:
        return NONE
    if not cell["n"]:
        return ", ".join(remarks(cell))
    return ", ".join([f"{_number(cell, statistic)} (n={cell['n']})", *_difference(cell), *remarks(cell)])


def _number(cell: "pd.Series[Any]", statistic: Statistic) -> str:
    def text(name: str) -> str:
        return number(cell[name], cell["value"])

    match statistic:
        case Statistic.SD:
            return text("mean") + (f" ± {text('sd')}" if cell["n"] > 1 else "")
        case Statistic.INTERVAL:
            return text("mean") + (f" [{text('low')}, {text('high')}]" if cell["n"] > 1 else "")
        case _:
            return text(statistic)


def _difference(cell: "pd.Series[Any]") -> list[str]:
    if not cell.get("pairs", 0):
        return []
    mean, low, high = (_signed(cell[name], cell["value"]) for name in COLUMNS[1::2] + COLUMNS[4:])
    interval = f" [{low}, {high}]" if cell["pairs"] > 1 else ""
    return [f"Δ {mean}{interval} (n={int(cell['pairs'])})"]


def _signed(value: float, name: str) -> str:
    text = number(abs(value), name)
    return ("" if float(text) == 0 else "−" if value < 0 else "+") + text


def note(
    value: str,
    source: str,
    statistic: Statistic = Statistic.SD,
    runs: pd.DataFrame | None = None,
    baseline: str | None = None,
) -> str:
    """The line below a table: where it is from, and what its numbers are.

    Args:
        runs: those of the table; say what chose a best epoch.
        baseline: the column that differences are to.
    """
    parts = [IN_WORDS[statistic], "diverged runs not in the mean"]
    if value.startswith("best_") and runs is not None:
        parts.append(chosen_by(runs))
    if baseline is not None:
        parts.append(f"Δ: to {baseline}, seed by seed, with its 95 % interval")
    unit = ", in percent" if "_error" in value else ""
    return f"{source}: {value}{unit}; {parts[0]}, {'; '.join(parts[1:])}"


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


def _heading(layout: Pivot, place: Place, lines: bool = False) -> str:
    """A column's heading; a key with one value is not worth a line, unless it is the last one."""
    parts = [
        f"{short(key)} = {label}" if key == "tau" else f"{short(key)} {label}"
        for number, (key, label) in enumerate(zip(layout.column_keys, place, strict=True))
        if number == len(place) - 1 or len({other[number] for other in layout.columns}) > 1
    ]
    return ("\n" if lines else ", ").join(parts) or str(layout.cells["value"].iloc[0])


def to_rich(layout: Pivot, statistic: Statistic = Statistic.SD) -> Table:
    """For a terminal. Everything from a sweep is `Text`, so that square brackets in it mean nothing."""
    table = Table()
    for key in layout.row_keys:
        table.add_column(Text(short(key)), justify="right")
    for column in layout.columns:
        table.add_column(Text(_heading(layout, column, lines=True)), justify="right")
    for row in layout.rows:
        entries = (entry(layout.at(row, column), statistic) for column in layout.columns)
        table.add_row(*map(Text, (*row, *entries)))
    return table


def to_markdown(layout: Pivot, below: str, statistic: Statistic = Statistic.SD) -> str:
    headings = [*map(short, layout.row_keys), *(_heading(layout, column) for column in layout.columns)]
    rows = [headings, ["---:"] * len(headings)]
    for row in layout.rows:
        rows.append([*row, *(entry(layout.at(row, column), statistic) for column in layout.columns)])
    lines = ["| " + " | ".join(text.replace("|", r"\|") for text in row) + " |" for row in rows]
    return "\n".join([*lines, "", below, ""])


def to_html(layout: Pivot, below: str, statistic: Statistic = Statistic.SD) -> str:
    """For a notebook; everything is escaped."""
    headings = [*map(short, layout.row_keys), *(_heading(layout, column) for column in layout.columns)]
    lines = ["<table>", "<tr>" + "".join(f"<th>{escape(text)}</th>" for text in headings) + "</tr>"]
    for row in layout.rows:
        labels = "".join(f"<th>{escape(text)}</th>" for text in row)
        entries = (escape(entry(layout.at(row, column), statistic)) for column in layout.columns)
        lines.append(f"<tr>{labels}{''.join(f'<td>{text}</td>' for text in entries)}</tr>")
    return "\n".join([*lines, "</table>", f"<p>{escape(below)}</p>"])


def to_latex(layout: Pivot, below: str, statistic: Statistic = Statistic.SD) -> str:
    """A `tabular` for `\\usepackage{booktabs}`; the note is a comment, for the caption to say."""
    first = len(layout.row_keys)
    lines = [f"% {' '.join(below.split())}", r"% \usepackage{booktabs}"]
    lines += [rf"\begin{{tabular}}{{{'r' * first}{'c' * len(layout.columns)}}}", r"\toprule"]
    for level in range(len(layout.column_keys) - 1):
        lines += _spans(layout, level)
    last = [_math(layout.column_keys[-1], place[-1]) for place in layout.columns if place] or [""]
    lines.append(" & ".join([*(latex(short(key)) for key in layout.row_keys), *last]) + r" \\")
    lines.append(r"\midrule")
    for row in layout.rows:
        entries = (latex(entry(layout.at(row, column), statistic)) for column in layout.columns)
        names = (
            tau_math(label) if key == "tau" else latex(label) for key, label in zip(layout.row_keys, row, strict=True)
        )
        lines.append(" & ".join([*names, *entries]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _math(key: str, label: str) -> str:
    return tau_math(label) if key == "tau" else latex(f"{short(key)} {label}")


def _spans(layout: Pivot, level: int) -> list[str]:
    """A line of headings that span the columns below them, and the rules under these; none for a single heading."""
    runs: list[tuple[Place, int]] = []
    for place in layout.columns:
        upper = place[: level + 1]
        width = runs.pop()[1] if runs and runs[-1][0] == upper else 0
        runs.append((upper, width + 1))
    if len(runs) < 2:
        return []
    first = len(layout.row_keys)
    key = layout.column_keys[level]
    headings = (rf" & \multicolumn{{{width}}}{{c}}{{{_math(key, upper[-1])}}}" for upper, width in runs)
    rules, start = [], first + 1
    for _, width in runs:
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return [" & " * (first - 1) + "".join(headings) + r" \\", " ".join(rules)]


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
        change = _signed(row["difference"], value)
        if not math.isnan(row["low"]):
            change += f" [{_signed(row['low'], value)}, {_signed(row['high'], value)}]"
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
