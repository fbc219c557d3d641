"""The grid: from a command line in Hydra's sweep grammar to one override list a run."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override

from taunode.errors import BadInput, nearest
from taunode.plan.compose import Composer

Choices = list[tuple[str, ...]]  # what one dimension of the grid can be, each a list of overrides


def grid(
    composer: Composer,
    params: Mapping[str, Any] | None,
    arguments: Sequence[str],
    zipped: Sequence[Sequence[str]] = (),
) -> tuple[list[list[str]], list[str]]:
    """Every combination of the lists in a command line.

    Args:
        params: an experiment's own grid; what the command line says of the same key replaces it.
        arguments: the command line's overrides, with lists, ranges, globs and choices.
        zipped: groups of keys whose lists are one dimension: their first values together, their second ones, …

    Returns:
        One override list a run, in the order of the nested lists; and the keys that have several values.

    Raises:
        BadInput: a zipped key has no list, is in two groups, or its list has another length.
    """
    typed = composer.parse(list(arguments))
    said = {_key(override) for override in typed}
    own = [f"{key}={value}" for key, value in (params or {}).items() if key not in said]
    lists = {_key(override): _texts(override) for override in composer.parse(own) + typed}
    dimensions: list[Choices] = []
    group_of = _groups(lists, zipped)
    for key, texts in lists.items():
        if key not in group_of:
            dimensions.append([(text,) for text in texts])
        elif group_of[key][0] == key:
            dimensions.append(list(zip(*(lists[name] for name in group_of[key]), strict=True)))
    jobs = [list(itertools.chain(*choice)) for choice in itertools.product(*dimensions)]
    columns = zip(*jobs, strict=True)
    swept = [column[0].partition("=")[0].lstrip("+~") for column in columns if len(set(column)) > 1]
    return jobs, swept


def _key(override: Override) -> str:
    return str(override.get_key_element().lstrip("+~"))


def _texts(override: Override) -> list[str]:
    """One override a value, as Hydra's own sweeper writes them."""
    (jobs,) = BasicSweeper.split_arguments([override], max_batch_size=None)
    return [job[0] for job in jobs]


def _groups(lists: Mapping[str, list[str]], zipped: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """The group of each zipped key, in the order of the command line."""
    group_of: dict[str, list[str]] = {}
    for names in zipped:
        for name in names:
            if len(lists.get(name, [])) < 2:
                swept = [key for key, texts in lists.items() if len(texts) > 1]
                raise BadInput(
                    f"hydra.sweeper.zip: {name} has no list of values; lists: {nearest(name, swept) or 'none'}"
                )
            if name in group_of:
                raise BadInput(f"hydra.sweeper.zip: {name} is there twice")
        lengths = {name: len(lists[name]) for name in names}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise BadInput(f"hydra.sweeper.zip: lists of one length are needed; {told} values")
        ordered = [key for key in lists if key in names]
        group_of |= dict.fromkeys(names, ordered)
    return group_of
