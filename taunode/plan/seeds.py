"""Runs that differ in nothing but their seed share the work: their configuration is composed and frozen once."""

import re
from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf

from taunode.plan.compose import Composer
from taunode.plan.freeze import Freezer, check_seed
from taunode.runs.runtime import Runtime

_SEED = re.compile(r"seed=(\d{1,20})")  # as a whole number of a list or a range is written
_REFERENCE = re.compile(r"\$\{.*seed|\$\{.*\$\{")  # a value that may follow the seed, or says so in a roundabout way


class Seeds:
    """Composes and freezes what override lists stand for."""

    def __init__(self, composer: Composer, freezer: Freezer) -> None:
        self._composer, self._freezer = composer, freezer
        self._shared: dict[tuple[str, ...], tuple[dict[str, Any], Runtime] | None] = {}

    def freeze(self, overrides: Sequence[str]) -> tuple[dict[str, Any], Runtime]:
        """As `Freezer.freeze` of the composed configuration.

        Raises:
            BadInput: it cannot be.
        """
        seeds = [match[1] for text in overrides if (match := _SEED.fullmatch(text))]
        rest = tuple(text for text in overrides if not _SEED.fullmatch(text))
        if len(seeds) == 1 and (shared := self._shared.get(rest)) is not None:
            config, runtime = shared
            return {**config, "seed": check_seed(int(seeds[0]))}, runtime
        composed = self._composer.compose(overrides)
        frozen = self._freezer.freeze(composed)
        if len(seeds) == 1 and rest not in self._shared:
            follows = _REFERENCE.search(OmegaConf.to_yaml(composed, resolve=False))
            self._shared[rest] = None if follows else frozen
        return frozen
