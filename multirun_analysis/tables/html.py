"""HTML: a table for a notebook; everything in it is escaped."""

from html import escape

from multirun_analysis.cell.layout import Pivot
from multirun_analysis.labels.values import short
from multirun_analysis.tables.entry import Statistic, entry
from multirun_analysis.tables.headings import heading_of


def to_html(layout: Pivot, below: str, statistic: Statistic = Statistic.SD) -> str:
    """For a notebook; everything is escaped."""
    headings = [*map(short, layout.row_keys), *(heading_of(layout, column) for column in layout.columns)]
    lines = ["<table>", "<tr>" + "".join(f"<th>{escape(text)}</th>" for text in headings) + "</tr>"]
    for row in layout.rows:
        labels = "".join(f"<th>{escape(text)}</th>" for text in row)
        entries = (escape(entry(layout.at(row, column), statistic)) for column in layout.columns)
        lines.append(f"<tr>{labels}{''.join(f'<td>{text}</td>' for text in entries)}</tr>")
    return "\n".join([*lines, "</table>", f"<p>{escape(below)}</p>"])
