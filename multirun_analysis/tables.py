"""Tables: depth × (norm ×) τ, as text, CSV, Markdown and LaTeX."""

from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from multirun_analysis.grid import NONE, Grid, remarks
from multirun_analysis.labels import latex, number, tau_math

POSITION = ("arch.depth", "arch.norm", "tau", "tau.scale", "tau.exponent")
STATISTICS = ("value", "n", "mean", "sd", "runs", "finished", "diverged", "unfinished")


def entry(cell: "pd.Series[Any] | None") -> str:
    """What a table says of a cell: `6.62 ± 0.12 (n=3)`, `diverged 2/3`, `1 planned`, `–` for a hole."""
    if cell is None:
        return NONE
    if not cell["n"]:
        return ", ".join(remarks(cell))
    spread = f" ± {number(cell['sd'], cell['value'])}" if cell["n"] > 1 else ""
    return ", ".join([f"{number(cell['mean'], cell['value'])}{spread} (n={cell['n']})", *remarks(cell)])


def note(value: str, source: str) -> str:
    """The line below a table: where it is from, and what its numbers are."""
    unit = ", in percent" if value.endswith("_error") else ""
    return f"{source}: {value}{unit}; mean ± sd over n seeds, diverged runs not in the mean"


def long(cells: pd.DataFrame) -> pd.DataFrame:
    """One row a cell with its numbers: the keys of its position, the keys that vary, and the statistics."""
    varying = [key for key in cells.attrs["keys"] if cells[key].nunique(dropna=False) > 1]
    shown = [key for key in dict.fromkeys([*POSITION, *varying]) if key in cells]
    return cells[[*shown, *STATISTICS]]


def to_csv(cells: pd.DataFrame) -> str:
    return as_csv(long(cells))


def as_csv(table: pd.DataFrame) -> str:
    """The same text for the same table, with every digit of its numbers."""
    return str(table.to_csv(index=False, lineterminator="\n"))


def to_rich(grid: Grid) -> Table:
    """For a terminal. Everything from a sweep is `Text`, so that square brackets in it mean nothing."""
    table = Table()
    table.add_column("depth", justify="right")
    for norm, tau in grid.columns:
        heading = f"norm {norm}\nτ = {tau}" if len(grid.norms) > 1 else f"τ = {tau}"
        table.add_column(Text(heading), justify="right")
    for depth in grid.depths:
        table.add_row(Text(depth), *(Text(entry(grid.at(depth, norm, tau))) for norm, tau in grid.columns))
    return table


def to_markdown(grid: Grid, below: str) -> str:
    headings = [f"norm {norm}, τ = {tau}" if len(grid.norms) > 1 else f"τ = {tau}" for norm, tau in grid.columns]
    rows = [["depth", *headings], ["---:"] * (len(headings) + 1)]
    for depth in grid.depths:
        rows.append([depth, *(entry(grid.at(depth, norm, tau)) for norm, tau in grid.columns)])
    lines = ["| " + " | ".join(text.replace("|", r"\|") for text in row) + " |" for row in rows]
    return "\n".join([*lines, "", below, ""])


def to_latex(grid: Grid, below: str) -> str:
    """A `tabular` for `\\usepackage{booktabs}`; the note is a comment, for the caption to say."""
    spans = [(norm, sum(other == norm for other, _ in grid.columns)) for norm in grid.norms]
    lines = [f"% {' '.join(below.split())}", r"% \usepackage{booktabs}"]
    lines += [rf"\begin{{tabular}}{{r{'c' * len(grid.columns)}}}", r"\toprule"]
    if len(spans) > 1:
        lines.append("".join(rf" & \multicolumn{{{width}}}{{c}}{{{latex(norm)}}}" for norm, width in spans) + r" \\")
        first, rules = 2, []
        for _, width in spans:
            rules.append(rf"\cmidrule(lr){{{first}-{first + width - 1}}}")
            first += width
        lines.append(" ".join(rules))
    lines.append(" & ".join(["depth", *(tau_math(tau) for _, tau in grid.columns)]) + r" \\")
    lines.append(r"\midrule")
    for depth in grid.depths:
        entries = (latex(entry(grid.at(depth, norm, tau))) for norm, tau in grid.columns)
        lines.append(" & ".join([latex(depth), *entries]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
