"""Writes multirun_analysis/papers/protocols.yaml: python tests/multirun_analysis/protocols.py, after a change of conf/.

What an experiment's protocol is: every scientific key of its runs, but those in which repetitions may differ (the seed,
where the embedding is from), groups it does not use, and what a data set adds when it is there.
"""

from pathlib import Path
from typing import Any

from hydra.types import RunMode
from omegaconf import OmegaConf

import multirun_analysis.papers
from multirun_analysis.papers.protocol import FREE
from multirun_analysis.papers.published import published
from taunode import build
from taunode.command.plugins import register
from taunode.plan.command_line import options_of
from taunode.plan.compose import Composer
from taunode.plan.grid import grid
from taunode.runs.files import to_yaml
from taunode.runs.signature import scientific
from taunode.runs.where import Where

FILE = Path(multirun_analysis.papers.__file__).with_name("protocols.yaml")
HEADER = (
    "# Generated from conf/experiment by tests/multirun_analysis/protocols.py: what each published experiment fixes\n"
)


def cells(experiment: str) -> list[dict[str, Any]]:
    """The protocol of each cell of an experiment: its runs without the keys in `FREE`."""
    register()
    composer = Composer.for_command([f"experiment={experiment}"], None, RunMode.MULTIRUN)
    options = options_of(composer)
    jobs = grid(composer, options.params, composer.typed).jobs()
    condition = Where(options.where) if options.where else lambda keys: True
    found: list[dict[str, Any]] = []
    for job in jobs:
        config = OmegaConf.to_container(composer.compose(job), resolve=True)
        config.pop("runtime")
        keys = scientific(build.complete(config))
        cell = {key: value for key, value in keys.items() if not _is_free(key, value)}
        if condition(keys) and cell not in found:
            found.append(cell)
    return found


def _is_free(key: str, value: Any) -> bool:
    return key in FREE or (value is None and ("." not in key or key.startswith("dataset.")))


def protocols() -> str:
    """The file's content."""
    experiments = {}
    for name in dict.fromkeys(number.experiment for number in published()):
        found = cells(name)
        shared = {
            key: value for key, value in found[0].items() if all(key in cell and cell[key] == value for cell in found)
        }
        own = [{key: value for key, value in cell.items() if key not in shared} for cell in found]
        experiments[name] = {"shared": shared, "cells": own}
    return HEADER + to_yaml(experiments)


if __name__ == "__main__":
    FILE.write_text(protocols(), encoding="utf-8")
    print(FILE)
