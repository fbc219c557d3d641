"""Build what a configuration names: the one place that turns `_target_` into an object.

A run directory is data, not code: only the exact names that the shipped configuration files use can be built.
Arguments are checked against the annotations of what is built, so that every mistake is one line with its key.
"""

import functools
import importlib
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from taunode import own_code
from taunode.errors import BadInput, nearest

if TYPE_CHECKING:
    from taunode.data.sets import DataSet
    from taunode.models.network import Network
    from taunode.models.tau import TauRule
    from taunode.training.optimizer import Optimizer
    from taunode.training.parametrization import Parametrization
    from taunode.training.schedule import Initialisation, Schedule


KINDS = {  # group → what its classes are
    "arch": "taunode.models.network.Network",
    "tau": "taunode.models.tau.TauRule",
    "dataset": "taunode.data.dataset.DataSet",
    "schedule": "taunode.training.schedule.Schedule",
    "optimizer": "taunode.training.optimizer.Optimizer",
    "parametrization": "taunode.training.parametrization.Parametrization",
    "init": "taunode.models.init.Init",
    "solver": "taunode.models.solver.Solver",
}
PARTS = frozenset({"tau", "init", "solver", "embedding"})  # groups of which some networks are built; else null
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
COMPLETED = ("tau", "solver")  # those whose classes resolve `auto` and the like; their modules import no torch


def allowed_targets(group: str = "") -> frozenset[str]:
    """Every `_target_` in conf/ and in this user's own options, or in a group of them: adding an option there is what
    admits a new class."""
    return _shipped_targets(group) | own_code.targets(group)


@functools.cache
def _shipped_targets(group: str) -> frozenset[str]:
    conf = importlib.import_module("taunode.conf")
    files = (Path(conf.__path__[0]) / group).rglob("*.yaml")
    return frozenset(
        target
        for file in files
        for target in re.findall(r"^_target_:\s*(taunode\.\S+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    )


def check_targets(config: Any, key: str = "") -> None:
    """Refuse a configuration that names anything else than what taunode's own options name, at any depth.

    Raises:
        BadInput: with the key, the name and the names that are allowed.
    """
    if isinstance(config, Mapping):
        for name, value in config.items():
            where = f"{key}.{name}" if key else str(name)
            if name == "_target_" and not (isinstance(value, str) and value in allowed_targets()):
                allowed = allowed_targets(where.partition(".")[0]) or allowed_targets()
                hint = own_code.hint(str(value))
                raise BadInput(f"{where}: {value!r} is not allowed; allowed: {nearest(str(value), allowed)}{hint}")
            check_targets(value, where)
    elif isinstance(config, list):
        for index, value in enumerate(config):
            check_targets(value, f"{key}[{index}]")


def look_up(target: str, key: str) -> Callable[..., Any]:
    """The class that an allowed name stands for.

    Raises:
        BadInput: it is of the user's own, and cannot be imported, or is no class of its group's kind.
    """
    if target not in _shipped_targets(""):
        own = own_code.load(target, key)
        base = _imported(KINDS[key]) if key in KINDS else object
        assert isinstance(base, type)
        if not (isinstance(own, type) and issubclass(own, base)):
            raise BadInput(f"{key}: {target} is no subclass of {KINDS[key]}")
        return own
    return _imported(target)


def _imported(target: str) -> Callable[..., Any]:
    module, _, name = target.rpartition(".")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def instantiate(node: Mapping[str, Any], key: str, **given: Any) -> Any:
    """Build what a group's node names by `_target_`, with the node's other keys and `given` as arguments.

    Args:
        key: the group's name, for messages.

    Raises:
        BadInput: a name that is not allowed, an unknown or missing key, a value of another type, or whatever the
            constructor refuses.
    """
    if "_target_" not in node:
        raise BadInput(f"{key}: has no _target_")
    check_targets(node, key)
    build = look_up(node["_target_"], key)
    try:
        return build(**checked(build, {k: v for k, v in node.items() if k != "_target_"}, key, given), **given)
    except BadInput:
        raise
    except Exception as error:
        if node["_target_"] in _shipped_targets(""):
            raise
        raise BadInput(f"{key}: {node['_target_']}: {own_code.in_one_line(error)}") from error


def checked(
    build: Callable[..., object], values: Mapping[str, Any], key: str, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The values as arguments for `build`, each of its annotated type.

    Raises:
        BadInput: an unknown, missing or wrongly typed one.
    """
    parameters, hints = arguments(build)
    given = given or {}
    for name in values:
        if name not in parameters or name in given:
            valid = nearest(name, [parameter for parameter in parameters if parameter not in given])
            raise BadInput(f"unknown key {key}.{name}; valid: {valid}")
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in values and name not in given:
            raise BadInput(f"{key}.{name} is missing")
    return {name: convert(value, hints.get(name, Any), f"{key}.{name}") for name, value in values.items()}


def arguments(build: Callable[..., object]) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    """Parameters of `build` by name, and annotated types; of a class that hands `**others` on, its parents' too."""
    if not isinstance(build, type):
        return dict(inspect.signature(build).parameters), typing.get_type_hints(build)
    parameters: dict[str, inspect.Parameter] = {}
    hints: dict[str, Any] = {}
    for owner in [one for one in build.__mro__ if "__init__" in vars(one)]:
        constructor = vars(owner)["__init__"]
        _, *own = inspect.signature(constructor).parameters.values()  # without `self`
        parameters = {one.name: one for one in own if one.kind not in VARIADIC} | parameters
        hints = typing.get_type_hints(constructor) | hints
        if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in own):
            break
    return parameters, hints


_words = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    type(None): "null",
}


def convert(value: Any, hint: Any, key: str) -> Any:
    """`value` as the annotated type: only 1 for 1.0 is converted, everything else must fit as it is."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for option in options:
        origin, arguments = typing.get_origin(option) or option, typing.get_args(option)
        if origin is Literal:
            if any(value == choice and type(value) is type(choice) for choice in arguments):
                return value
        elif origin is list and isinstance(value, list):
            return [convert(item, arguments[0], f"{key}[{index}]") for index, item in enumerate(value)]
        elif origin is dict and isinstance(value, dict):
            return {name: convert(item, arguments[1], f"{key}.{name}") for name, item in value.items()}
        elif origin is Any:
            return value
        elif origin is float and isinstance(value, int | float) and not isinstance(value, bool):
            if math.isnan(value):
                raise BadInput(f"{key} must be a number, got {value}")
            return float(value)
        elif isinstance(origin, type) and type(value) is origin:
            return value
    wanted = [
        f"one of {', '.join(str(choice) for choice in typing.get_args(option))}"
        if typing.get_origin(option) is Literal
        else _words.get(typing.get_origin(option) or option, str(option))
        for option in options
    ]
    raise BadInput(f"{key} must be {' or '.join(wanted)}, got {value!r}")


def complete(config: dict[str, Any]) -> dict[str, Any]:
    """Resolve in place what a part leaves to the network, such as `tau.learn: auto`: its class knows (`completed`).

    An option of a group that can be null is that where it names nothing, `_target_: null`, so that a sweep can have it.
    """
    for group in ("parametrization", "optimizer", *PARTS):
        node = config.get(group)
        if isinstance(node, Mapping) and node.get("_target_", "") is None:
            config[group] = None
    for group in COMPLETED:
        node = config.get(group)
        if isinstance(node, Mapping) and isinstance(name := node.get("_target_"), str) and name in allowed_targets():
            kind: Any = look_up(name, group)
            config[group] = kind.completed(node, config["arch"])
    return config


def data_set(config: Mapping[str, Any]) -> "DataSet":
    """The data set of a configuration; imports no torch."""
    built: DataSet = instantiate(config["dataset"], "dataset")
    return built


def schedule(config: Mapping[str, Any]) -> "Schedule | Initialisation":
    """The schedule of a configuration; imports no torch."""
    built: Schedule | Initialisation = instantiate(config["schedule"], "schedule")
    return built


def optimizer(config: Mapping[str, Any]) -> "Optimizer | None":
    """The optimizer of a configuration; None where nothing is trained.

    Raises:
        BadInput: it cannot be built; there is none though the schedule trains, or one though it does not.
    """
    node, trains = config.get("optimizer"), schedule(config).epochs > 0
    if not isinstance(node, Mapping) and (trains or node is not None):
        raise BadInput(f"optimizer must be one of its options, got {'null' if node is None else repr(node)}")
    if node is None:
        return None
    if not trains:
        raise BadInput("schedule=initialisation trains nothing: optimizer must be null")
    built: Optimizer = instantiate(node, "optimizer")
    return built


def parametrization(config: Mapping[str, Any]) -> "Parametrization | None":
    """The rule by which a configuration's rates and initial weights follow width and depth; None: they do not."""
    node = config.get("parametrization")
    if node is None:
        return None
    if not isinstance(node, Mapping):
        raise BadInput(f"parametrization must be one of its options or null, got {node!r}")
    built: Parametrization = instantiate(node, "parametrization")
    if built.needs_independent_blocks():
        _check_depthwise(config, type(built).__name__)
    return built


def _check_depthwise(config: Mapping[str, Any], name: str) -> None:
    """Refuse what a rule for the depth is not derived for: an init that follows it as well, and τ other than c/√L."""
    init, tau = config.get("init"), config.get("tau")
    if isinstance(init, Mapping) and (kind := type(instantiate(init, "init"))).depthwise:
        raise BadInput(
            f"init={kind.__name__} and parametrization={name} with depthwise both set how weights follow depth: "
            "drop one of them"
        )
    rule: TauRule | None = instantiate(tau, "tau") if isinstance(tau, Mapping) else None
    if rule is None or not rule.is_inverse_sqrt():
        raise BadInput(
            f"parametrization={name} with depthwise is derived for tau=inverse_sqrt, τ = c/√L with any c, "
            f"got τ = {'null' if rule is None else rule.label()}; or parametrization.depthwise=false"
        )


def takes(arch: Mapping[str, Any]) -> frozenset[str]:
    """Which of the groups in `PARTS` a network is built from: those its constructor names.

    Raises:
        BadInput: the network's name is missing or not allowed.
    """
    if "_target_" not in arch:
        raise BadInput("arch: has no _target_")
    check_targets(arch, "arch")
    return frozenset(arguments(look_up(arch["_target_"], "arch"))[0]) & PARTS


def network(config: Mapping[str, Any], device: str = "cpu") -> "Network":
    """The untrained network of a completed configuration, initialised from its seed alone.

    Args:
        device: where it is built; `meta` gives shapes and counts without memory.

    Raises:
        BadInput: a part is given that the network does not take, or it cannot be built.
    """
    import torch

    data = config["dataset"]
    shape = {"in_channels": data["channels"], "image_size": data["image_size"], "classes": data["classes"]}
    used = takes(config["arch"])
    for group in sorted(PARTS - used):
        if config.get(group) is not None:
            raise BadInput(f"{config['arch']['_target_'].rpartition('.')[2]} takes no {group}: {group} must be null")
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(config["seed"])
        parts = {group: instantiate(config[group], group) for group in sorted(used) if config.get(group) is not None}
        built: Network = instantiate(config["arch"], "arch", **parts, **shape)
    if (rule := parametrization(config)) is not None:
        from taunode.training.parametrization import prepare

        if rule.needs_independent_blocks() and built.chain() is None:
            raise BadInput(
                f"parametrization={type(rule).__name__} with depthwise counts residual blocks, of which "
                f"{type(built).__name__} has none (its chain())"
            )
        trained_by = optimizer(config)
        prepare(built, rule, "sgd" if trained_by is None else trained_by.kind)
    return built
