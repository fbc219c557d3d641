"""taunode: sweeps of residual networks over depth and the residual factor τ.

The public functions, loaded when first used (importing `taunode` costs nothing):

- `compose(overrides)`: the configuration a command line stands for,
- `build_model(cfg)`: the network of a configuration,
- `run(cfg, directory)`: train one run in one directory, or go on with it,
- `load(run_dir, which)`: the configuration and the trained network of a run.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taunode.api import build_model as build_model
    from taunode.api import compose as compose
    from taunode.api import load as load
    from taunode.api import run as run

__all__ = ["build_model", "compose", "load", "run"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from taunode import api

        return getattr(api, name)
    raise AttributeError(f"module 'taunode' has no attribute {name!r}; it has {', '.join(__all__)}")
