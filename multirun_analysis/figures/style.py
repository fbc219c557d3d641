"""Style of all figures: sizes of a two-column paper, colours that everybody can tell apart, always the same bytes."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib.style
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

# Okabe and Ito, "Color Universal Design" (2008): told apart with every kind of colour vision.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#000000")
COLUMN, TEXT = 3.35, 6.9  # inches: one column, and both, of a two-column paper
SIZE = 7.0  # points
STYLE: Mapping[str, Any] = {
    "font.size": SIZE,
    "axes.titlesize": SIZE,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.linewidth": 0.4,
    "grid.color": "0.88",
    "xtick.major.size": 0,
    "ytick.major.size": 2.5,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 2.6,  # two dashes
    "hatch.linewidth": 0.5,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # whole TrueType fonts: journals refuse Type 3
    "svg.hashsalt": "multirun-analysis",  # names of its parts that do not change from one drawing to the next
}


@contextmanager
def styled() -> Iterator[None]:
    """What is drawn inside has this style, whatever the user's own settings are."""
    with matplotlib.style.context(["default", dict(STYLE)]):
        yield


def plain_logarithmic(axis: Axis, span: float) -> None:
    """Ticks at 1, 2, 5, 10, …, or 1, 10, … where the numbers span more than a factor of 200, written as they are."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if span <= 200 else (1,)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def render(figure: Figure, suffix: str) -> bytes:
    """The figure as `png`, `pdf` or `svg`: the same bytes for the same figure, so without the time and the version."""
    metadata: dict[str, dict[str, None]] = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "svg": {"Date": None, "Creator": None},
    }
    file = io.BytesIO()
    with styled():
        figure.savefig(file, format=suffix, metadata=metadata[suffix])
    return file.getvalue()
