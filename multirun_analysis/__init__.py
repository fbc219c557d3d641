"""multirun_analysis: from sweep directories to tables and figures.

The public names, loaded when first used (importing `multirun_analysis` costs nothing):

- `load(sweep_dir, where=None)`: a sweep as pandas tables, one row a run and one row a run and epoch,
- `Sweep`: what `load` returns,
- `cells(runs, value)`: the runs that differ in `seed` only, as n, mean and sd.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multirun_analysis.cell import cells as cells
    from multirun_analysis.collect import Sweep as Sweep
    from multirun_analysis.collect import load as load

__all__ = ["Sweep", "cells", "load"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'multirun_analysis' has no attribute {name!r}; it has {', '.join(__all__)}")
    from multirun_analysis import cell, collect

    return getattr(cell if name == "cells" else collect, name)
