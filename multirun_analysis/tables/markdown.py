"""Markdown: a table for a README or an issue."""

from multirun_analysis.cell.layout import Pivot
from multirun_analysis.labels.values import short
from multirun_analysis.tables.entry import Statistic, entry
from multirun_analysis.tables.headings import heading_of


def to_markdown(layout: Pivot, below: str, statistic: Statistic = Statistic.SD) -> str:
    headings = [*map(short, layout.row_keys), *(heading_of(layout, column) for column in layout.columns)]
    rows = [headings, ["---:"] * len(headings)]
    for row in layout.rows:
        rows.append([*row, *(entry(layout.at(row, column), statistic) for column in layout.columns)])
    lines = ["| " + " | ".join(text.replace("|", r"\|") for text in row) + " |" for row in rows]
    return "\n".join([*lines, "", below, ""])
