"""Turn Hydra's refusals into one line that names what was typed and what would be valid, nearest first."""

from collections.abc import Sequence

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from taunode.errors import BadInput, nearest
from taunode.launch.compose import Composer, keys
from taunode.launch.freeze import first_line

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
            override = composer.parse([text])[0]
        except HydraException:
            return BadInput(f"{text}: not an override; write key=value or group=option, special characters in quotes")
        if override.is_sweep_override() and not multirun:
            return BadInput(f"{text}: several values; a sweep needs -m")
        key = override.key_or_group
        if composer.loader.repository.group_exists(key):
            options = composer.loader.get_group_options(key)
            one = [text.partition("=")[2]]
            values = list(override.sweep_string_iterator()) if override.is_discrete_sweep() else one
            for value in values:
                if value not in options and not override.is_delete():
                    if not options:
                        return BadInput(f"{text}: {key} has no options yet; it must stay null")
                    return BadInput(f"{text}: no option {value!r} of {key}; valid: {nearest(value, options)}")
        elif not override.is_add() and not override.is_force_add():
            known = keys(composer.master if override.is_hydra_override() else composer.compose([]))
            if key not in known:
                return BadInput(f"{text}: unknown key {key!r}; nearest: {nearest(key, known, show=6)}")
    cause: BaseException | None = error
    while cause is not None:  # one of our own plugins refused, and Hydra wrapped it
        if isinstance(cause, BadInput):
            return cause
        cause = cause.__cause__
    if isinstance(error, OmegaConfBaseException):
        return BadInput(first_line(error))
    return BadInput(_first_line(error))


def _first_line(error: BaseException) -> str:
    lines = [str(fault).strip().splitlines()[:1] for fault in (error, error.__cause__) if fault is not None]
    return ": ".join(line for (line,) in filter(None, lines)) or type(error).__name__
