"""Turn Hydra's refusals into one line that names what was typed and what would be valid, nearest first."""

from collections.abc import Sequence

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from taunode.errors import BadInput, nearest
from taunode.launch.compose import Composer, keys

Refusal = (HydraException, OmegaConfBaseException, ValueError)  # ValueError: a group that is set to null


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
        if key.partition(".")[0] == "hydra":
            continue
        if composer.loader.repository.group_exists(key):
            options = composer.loader.get_group_options(key)
            values = list(override.sweep_string_iterator()) if override.is_discrete_sweep() else [str(override.value())]
            for value in values:
                if value not in options and not override.is_delete():
                    if not options:
                        return BadInput(f"{text}: {key} has no options yet; it must stay null")
                    return BadInput(f"{text}: no option {value!r} of {key}; valid: {nearest(value, options)}")
        elif not override.is_add() and not override.is_force_add():
            known = keys(composer.compose([]))
            if key not in known:
                return BadInput(f"{text}: unknown key {key!r}; nearest: {nearest(key, known, show=6)}")
    return BadInput(_first_line(error))


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__
    text = str(error).strip() or (str(cause).strip() if cause is not None else "") or type(error).__name__
    return " ".join(line.strip() for line in text.splitlines()[:2])
