"""Turn Hydra's refusals into one line that names what was typed and what would be valid, nearest first."""

import itertools
from collections.abc import Iterator, Sequence

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from taunode.build import PARTS, takes
from taunode.errors import BadInput, nearest
from taunode.plan.compose import Composer, keys
from taunode.plan.freeze import words_of_omegaconf
from taunode.runs.history import MOVED

Refusal = (HydraException, OmegaConfBaseException)


def explain(error: Exception, overrides: Sequence[str], composer: Composer | None, multirun: bool) -> BadInput:
    """What was wrong with a command line that Hydra refused.

    Args:
        composer: of the same configuration without these overrides, to look up what is valid; None where even that
            could not be made.
    """
    for text in overrides if composer is not None else ():
        assert composer is not None
        try:
            composer.parse([text])
        except HydraException:
            return BadInput(f"{text}: not an override; write key=value or group=option, special characters in quotes")
    for text in overrides if composer is not None else ():
        assert composer is not None
        override = composer.parse([text])[0]
        if not override.key_or_group:
            return BadInput(f"{text}: not an override; write key=value or group=option")
        if override.is_sweep_override() and not multirun:
            return BadInput(f"{text}: several values; a sweep needs -m")
        key = override.key_or_group
        if composer.loader.repository.group_exists(key):
            options = composer.loader.get_group_options(key)
            one = [text.partition("=")[2]]
            for value in _first(override) if override.is_discrete_sweep() else one:
                if value not in options and not override.is_delete():
                    if not options:
                        return BadInput(f"{text}: {key} has no options yet; it must stay null")
                    missing = " (or a plugin that has it is not installed)" if key.startswith("hydra/") else ""
                    return BadInput(f"{text}: no option {value!r} of {key}; valid: {nearest(value, options)}{missing}")
        elif not override.is_add() and not override.is_force_add():
            for config in [composer.master] if override.is_hydra_override() else _chosen(overrides, composer):
                if key not in keys(config):
                    return BadInput(f"{text}: {_unknown(key, config)}")
    cause: BaseException | None = error
    while cause is not None:  # one of our own plugins refused, and Hydra wrapped it
        if isinstance(cause, BadInput):
            return cause
        cause = cause.__cause__
    if isinstance(error, OmegaConfBaseException):
        return BadInput(words_of_omegaconf(error))
    return BadInput(_words_of_hydra(error))


def _chosen(overrides: Sequence[str], composer: Composer) -> Iterator[DictConfig]:
    """The configurations of the command's options alone, one for each combination of those it sweeps over."""
    groups = [override for override in composer.parse(overrides) if _is_choice(override, composer)]
    values = [_first(one) if one.is_discrete_sweep() else [one.get_value_string()] for one in groups]
    for combination in itertools.product(*values):
        try:
            yield composer.compose([f"{group.key_or_group}={v}" for group, v in zip(groups, combination, strict=True)])
        except Refusal:
            yield composer.compose([])


def _first(override: Override) -> Iterator[str]:
    """The values of a sweep over options, the first hundred of what may be a range of a billion."""
    return itertools.islice(override.sweep_string_iterator(), 100)


def _is_choice(override: Override, composer: Composer) -> bool:
    is_group = composer.loader.repository.group_exists(override.key_or_group)
    return is_group and not (override.is_hydra_override() or override.is_add() or override.is_delete())


def _unknown(key: str, config: DictConfig) -> str:
    """Why a configuration has no such key."""
    group = key.partition(".")[0]
    if key in MOVED:
        return f"{key} is {MOVED[key]} now"
    if group in PARTS and config.get(group) is None and config.get("arch") is not None:
        name = config.arch._target_.rpartition(".")[2]
        if group not in takes(config.arch):
            return f"{name} takes no {group}, so {group} is null and has no keys"
        return f"{group} is null and has no keys; choose one of its options, which {name} takes"
    return f"unknown key {key!r}; nearest: {nearest(key, keys(config), show=6)}"


def _words_of_hydra(error: BaseException) -> str:
    lines = [str(fault).strip().splitlines()[:1] for fault in (error, error.__cause__) if fault is not None]
    return ": ".join(line for (line,) in filter(None, lines)) or type(error).__name__
