"""The grid: from a command line in Hydra's sweep grammar to one override list a run."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.errors import HydraException

from taunode.errors import BadInput, nearest
from taunode.plan.compose import Composer

Choices = list[tuple[str, ...]]  # what one dimension of the grid can be, each a list of overrides
MOST = 10_000_000  # runs of a sweep
MANY = 100_000  # runs, above which a command asks whether that was meant


@dataclass(frozen=True)
class Grid:
    """The runs of a command line, before any of them is made.

    Attributes:
        dimensions: of each the overrides that it can be.
        swept: the keys that have several values.
    """

    dimensions: list[Choices]
    swept: list[str]

    def __len__(self) -> int:
        return math.prod(len(choices) for choices in self.dimensions)

    def jobs(self) -> Iterator[list[str]]:
        """One override list a run, in the order of the nested lists."""
        return (list(itertools.chain(*choice)) for choice in itertools.product(*self.dimensions))


def grid(
    composer: Composer,
    params: Mapping[str, Any] | None,
    arguments: Sequence[str],
    zipped: Sequence[Sequence[str]] = (),
    yes: bool = False,
) -> Grid:
    """Every combination of the lists in a command line.

    Args:
        params: an experiment's own grid; what the command line says of the same key replaces it.
        arguments: the command line's overrides, with lists, ranges, globs and choices.
        zipped: groups of keys whose lists are one dimension: their first values together, their second ones, …
        yes: however many runs that are.

    Raises:
        BadInput: a range without an end; more than 100,000 runs; a zipped key has no list, is in two groups, or its
            list has another length.
    """
    typed = composer.parse(list(arguments))
    said = {_key(override) for override in typed}
    own = [f"{key}={value}" for key, value in (params or {}).items() if key not in said]
    overrides = {_key(override): override for override in composer.parse(own) + typed}
    _check_size(overrides, zipped, yes)
    lists = {key: _texts(override) for key, override in overrides.items()}
    dimensions: list[Choices] = []
    group_of = _groups(lists, zipped)
    for key, texts in lists.items():
        if key not in group_of:
            dimensions.append([(text,) for text in texts])
        elif group_of[key][0] == key:
            dimensions.append(list(zip(*(lists[name] for name in group_of[key]), strict=True)))
    swept = [
        texts[0].partition("=")[0].lstrip("+~")
        for choices in dimensions
        for texts in zip(*choices, strict=True)
        if len(set(texts)) > 1
    ]
    return Grid(dimensions, swept)


def _check_size(overrides: Mapping[str, Override], zipped: Sequence[Sequence[str]], yes: bool) -> None:
    """Count the runs before any list is made: a zero too many asks for a billion."""
    counts = {key: _count(override) for key, override in overrides.items()}
    firsts = {name: names[0] for names in zipped for name in names}  # lists that go together count once
    total = math.prod(count for key, count in counts.items() if firsts.get(key, key) == key)
    if yes and total > MOST:
        raise BadInput(f"these lists make {total:,} runs; a sweep has at most {MOST:,}")
    if total > MANY and not yes:
        raise BadInput(f"these lists make {total:,} runs; if that is what you want, add --yes")


def _count(override: Override) -> int:
    """The number of values.

    Raises:
        BadInput: a range has no end.
    """
    value = override.value()
    if isinstance(value, ChoiceSweep):
        return len(value.list)
    if not isinstance(value, RangeSweep):
        return 1  # or a glob, of as many as there are options
    assert value.start is not None
    assert value.stop is not None
    steps = (value.stop - value.start) / value.step if value.step else math.inf
    if not math.isfinite(steps):
        raise BadInput(f"{override.input_line}: this range has no end")
    return max(0, math.ceil(steps))


def _key(override: Override) -> str:
    return str(override.get_key_element().lstrip("+~"))


def _texts(override: Override) -> list[str]:
    """One override a value, as Hydra's own sweeper writes them."""
    try:
        (jobs,) = BasicSweeper.split_arguments([override], max_batch_size=None)
    except (HydraException, ValueError, TypeError, AssertionError) as error:  # of what Hydra's own sweeper cannot list
        raise BadInput(f"{override.input_line}: {' '.join(str(error).split())}") from None
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
