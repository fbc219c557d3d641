"""Scaling: error against the number of blocks with the power law a + b·L^c through each line, and its intervals."""

from dataclasses import replace

from multirun_analysis.cell.layout import is_number
from multirun_analysis.figures import error_key
from multirun_analysis.figures.picture import Picture, Request
from taunode.errors import BadInput

SIZES = ("blocks", "arch.layers", "arch.depth", "parameters")  # the first that varies


def draw(request: Request) -> Picture:
    """
    Raises:
        BadInput: nothing says how large the networks are.
    """
    runs = request.sweep.runs
    key = request.along or next((key for key in SIZES if key in runs and is_number(runs[key])), None)
    if key is None:
        raise BadInput(
            f"scaling needs networks of several sizes: none of {', '.join(SIZES)} varies; choose with --along"
        )
    return error_key.draw(replace(request, along=key, fit=True))
