"""What a figure of lines consists of, as tests look at it."""

import numpy as np

from multirun_analysis.figures.panels import MARKERS


def points(axes):
    """The points of each line: [(x, y), …], those of hollow markers with the others of their colour."""
    found = {}
    for line in axes.lines:
        if line.get_marker() in set(MARKERS) - {"*", "^"} and line.get_transform() == axes.transData:
            found.setdefault((line.get_color(), line.get_marker()), []).extend(
                zip(map(float, line.get_xdata()), map(float, line.get_ydata()), strict=True)
            )
    return list(found.values())


def crosses(axes):
    """Those above the axes: (x, height in units of the axes)."""
    marks = [line for line in axes.lines if line.get_marker() == "x" and line.get_transform() != axes.transData]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in marks]


def all_points(axes):
    """An array of (x, y), sorted."""
    return np.array(sorted(point for line in points(axes) for point in line))


def labels(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]
