"""The grid: from a command line in Hydra's sweep grammar to one override list a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from taunode.launch.compose import Composer


def grid(
    composer: Composer, params: Mapping[str, Any] | None, arguments: Sequence[str]
) -> tuple[list[list[str]], list[str]]:
    """Every combination of the lists in a command line.

    Args:
        params: an experiment's own grid; what the command line says of the same key replaces it.
        arguments: the command line's overrides, with lists, ranges, globs and choices.

    Returns:
        One override list a run, in the order of the nested lists; and the keys that have several values.
    """
    typed = composer.parse(list(arguments))
    said = {override.get_key_element().lstrip("+~") for override in typed}
    own = [f"{key}={value}" for key, value in (params or {}).items() if key not in said]
    overrides = composer.parse(own) + typed
    (jobs,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)  # Hydra's own product
    columns = zip(*jobs, strict=True)
    swept = [column[0].partition("=")[0].lstrip("+~") for column in columns if len(set(column)) > 1]
    return jobs, swept
