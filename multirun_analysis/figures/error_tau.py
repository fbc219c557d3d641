"""Error against τ, a line a depth, and networks with a learned τ apart: how much τ each depth bears."""

from dataclasses import replace

from multirun_analysis.figures import error_key
from multirun_analysis.figures.picture import Picture, Request
from taunode.errors import BadInput


def draw(request: Request) -> Picture:
    """
    Raises:
        BadInput: the runs have no single number τ.
    """
    runs = request.sweep.runs
    if "tau_value" not in runs or runs["tau_value"].isna().all():
        raise BadInput("error-tau needs runs with a τ; these have no tau_value")
    if runs["tau_value"].nunique() < 2:
        raise BadInput("error-tau needs several values of τ; all of these have the same")
    return error_key.draw(replace(request, along="tau"))
