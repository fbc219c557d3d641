"""Headings: what stands above a column of a table, and how wide those reach that several columns share."""

from multirun_analysis.cell.layout import Pivot, Place
from multirun_analysis.labels.values import short


def heading_of(layout: Pivot, place: Place, lines: bool = False) -> str:
    """A column's heading; a key with one value is not worth a line, unless it is the last one."""
    parts = [
        f"{short(key)} = {label}" if key == "tau" else f"{short(key)} {label}"
        for number, (key, label) in enumerate(zip(layout.column_keys, place, strict=True))
        if number == len(place) - 1 or len({other[number] for other in layout.columns}) > 1
    ]
    return ("\n" if lines else ", ").join(parts) or str(layout.cells["value"].iloc[0])
