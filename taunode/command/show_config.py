"""`--cfg`: the configuration that a command line stands for, as YAML; of a sweep that of its first run."""

import sys
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import Container, DictConfig, OmegaConf, open_dict

from taunode.command.line import Line
from taunode.errors import BadInput, nearest
from taunode.plan.command_line import grid_of
from taunode.plan.compose import keys


def show(line: Line, which: str, package: str | None, resolve: bool) -> None:
    """Print it.

    Args:
        which: `job`, `hydra` or `all`.
        package: a part of it: `arch`, `hydra.launcher`.
        resolve: with values in the place of interpolations.

    Raises:
        BadInput: the command line is not valid, or there is no such part.
    """
    composer = line.composer()
    with line.explained():
        overrides = composer.typed
        if line.multirun and which != "hydra":
            made = grid_of(composer)
            overrides = next(made.jobs())
            if len(made) > 1:
                print(f"# the first of {len(made):,} runs; taunode-sweep plan --dry-run lists all", file=sys.stderr)
        config = DictConfig({}) if which == "hydra" else composer.compose(overrides)
        HydraConfig.instance().set_config(composer.master)
        if which != "job":
            with open_dict(config):
                config.hydra = composer.master.hydra
        shown: Any = config
        if package is not None and package != "_global_":
            shown = OmegaConf.select(config, package)
            if shown is None:
                raise BadInput(f"--package {package}: there is no such part; nearest: {nearest(package, keys(config))}")
            print(f"# @package {package}")
        if isinstance(shown, Container):
            OmegaConf.set_readonly(shown, None)
            shown = OmegaConf.to_yaml(shown, resolve=resolve)
    print(str(shown).rstrip("\n"))
