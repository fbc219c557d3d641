"""multirun_analysis: from sweep directories to tables, figures and verdicts.

The public names, loaded when first used (importing `multirun_analysis` costs nothing); docs/analysis.py shows them all:

- `load(*sweep_dirs, where=None)`: sweeps as pandas tables, a row a run (`runs`) and a row a run and epoch (`epochs`),
- `Sweep`: what `load` returns,
- `cells(runs, value)`: the runs that differ in `seed` only, as n, mean, sd, interval, median and best,
- `tuned(sweep, keys)`: of the cells that differ in these keys alone the best one, such as each method's learning rate,
- `table(sweep, …)`, `figure(sweep, …)`, `verify(sweep)`, `compare(first, second)`: what the commands so named show.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multirun_analysis.api import compare as compare
    from multirun_analysis.api import figure as figure
    from multirun_analysis.api import table as table
    from multirun_analysis.api import tuned as tuned
    from multirun_analysis.api import verify as verify
    from multirun_analysis.cell.cells import cells as cells
    from multirun_analysis.read.sweep import Sweep as Sweep
    from multirun_analysis.read.sweep import load as load

_modules = {
    "Sweep": "read.sweep",
    "cells": "cell.cells",
    "compare": "api",
    "figure": "api",
    "load": "read.sweep",
    "table": "api",
    "tuned": "api",
    "verify": "api",
}
__all__ = ["Sweep", "cells", "compare", "figure", "load", "table", "tuned", "verify"]


def __getattr__(name: str) -> object:
    if name not in _modules:
        raise AttributeError(f"module 'multirun_analysis' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"multirun_analysis.{_modules[name]}"), name)
