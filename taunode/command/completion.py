"""Tab completion of `taunode`: groups and keys as Hydra completes them, and what Hydra leaves out.

That is: our own flags, words behind a comma, all values of a key that lists them, and the user's own options.
"""

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.completion_plugin import CompletionPlugin, DefaultCompletionPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from taunode.command.choices import choices
from taunode.command.line import FLAGS
from taunode.errors import BadInput
from taunode.paths import expanded
from taunode.plan.compose import CONFIG, Composer, Loader, search_path
from taunode.plan.freeze import PRECISIONS
from taunode.plan.grid import grid
from taunode.plan.refusals import Refusal

FLAGS_OF_ALL = [
    *(f"--{name}" for name in FLAGS),
    *("--multirun", "--cfg", "--config-dir", "--resolve", "--package", "--help", "--version", "--hydra-help"),
]
VALUES = dict.fromkeys(("--cfg", "-c"), ("job", "hydra", "all")) | dict.fromkeys(("--package", "-p"), ())
CLASSES = {  # whose arguments the keys of a node are, where its `_target_` does not say so
    "runtime": ["taunode.runs.runtime.Runtime"],
    "hydra.sweeper": ["taunode.plan.command_line.SweepOptions"],
    "hydra.launcher": ["taunode.cluster.resources.Options", "taunode.cluster.resources.Resources"],
}
PATHS = ("hydra.run.dir", "hydra.sweep.dir", "runtime.data_root", "runtime.cache_dir", "embedding.weights")


def complete(overrides: Sequence[str]) -> None:
    """Answer `taunode -sc install=bash`, `uninstall=bash` or, as the shell asks, `query=bash`.

    Raises:
        BadInput: no such shell, or something else is asked.
    """
    known: list[Any] = Plugins.instance().discover(CompletionPlugin)
    plugins = {plugin.provides(): plugin for plugin in known if plugin is not DefaultCompletionPlugin}
    action, _, shell = (overrides[0] if len(overrides) == 1 else "").partition("=")
    if action not in ("install", "uninstall", "query") or shell not in plugins:
        raise BadInput(f"-sc {' '.join(overrides)}: valid: install=SHELL or uninstall=SHELL with {', '.join(plugins)}")
    plugin = plugins[shell](Loader(search_path()))
    plugin._query = lambda config_name, line: words(line)  # which it prints
    if action == "query":
        plugin.query(CONFIG)
    else:
        getattr(plugin, action)()


def words(line: str) -> list[str]:
    """What the last word of a command line can become. The line is without the program's name."""
    before = line.split()
    word = before.pop() if before and not line[-1].isspace() else ""
    flag = before[-1] if before else ""
    if flag in ("--config-dir", "-cd"):
        return sorted(glob.glob(f"{glob.escape(os.path.expanduser(word))}*/"))
    if flag in VALUES:
        return [value for value in VALUES[flag] if value.startswith(word)]
    if word.startswith("-"):
        return sorted(one for one in FLAGS_OF_ALL if one.startswith(word))
    try:
        return sorted(set(_overrides(word, before)))
    except (BadInput, *Refusal):  # the words before do not make sense yet
        return []


def _overrides(word: str, before: Sequence[str]) -> list[str]:
    config_dir, said = _parse(before)
    loader = Loader(search_path(config_dir))
    key, equals, value = word.partition("=")
    if equals:
        done, comma, begun = value.rpartition(",")
        values = _values(key.lstrip("+~"), begun, loader, said, config_dir)
        chosen = done.split(",")
        return [f"{key}={done}{comma}{one}" for one in values if one.startswith(begun) and one not in chosen]
    plugin = DefaultCompletionPlugin(loader)
    groups, _ = plugin._query_config_groups(word, config_name=CONFIG, words=said)
    return groups + plugin._get_matches(_config(said, config_dir, key.startswith("hydra.")), word)


def _parse(before: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The user's directory of options, and the overrides, of the words that stand before."""
    config_dir: Path | None = None
    said: list[str] = []
    rest = iter(before)
    for word in rest:
        if word in ("--config-dir", "-cd"):
            config_dir = expanded(next(rest, "."), "--config-dir")
        elif word.startswith("--config-dir="):
            config_dir = expanded(word.partition("=")[2], "--config-dir")
        elif word in VALUES:
            next(rest, None)
        elif not word.startswith("-"):
            said.append(word)
    return config_dir, said


def _config(said: Sequence[str], config_dir: Path | None, of_hydra: bool) -> DictConfig:
    """The configuration that the words before make; of a swept group the first option."""
    mode = RunMode.MULTIRUN
    try:
        composer = Composer.for_command(said, config_dir, mode)
        config = composer.compose(next(grid(composer, None, composer.typed).jobs()))
    except (BadInput, *Refusal):
        composer = Composer.for_command([], config_dir, mode)
        config = composer.compose([])
    return DictConfig({"hydra": composer.master.hydra}) if of_hydra else config


def _values(key: str, begun: str, loader: Loader, said: Sequence[str], config_dir: Path | None) -> list[str]:
    """The values that a group or a key can have, as far as they are known."""
    if loader.repository.group_exists(key):
        return list(loader.get_group_options(key))
    if key in PATHS or begun[:1] in ("/", ".", "~"):
        return sorted(glob.glob(f"{glob.escape(os.path.expanduser(begun))}*"))
    config = _config(said, config_dir, key.startswith("hydra."))
    group, _, name = key.rpartition(".")
    node = OmegaConf.select(config, group) if group else config
    if not isinstance(node, DictConfig) or name not in node:
        return []
    present = OmegaConf.to_container(node, resolve=False)
    assert isinstance(present, dict)
    value = present[name]
    shown = {None: "null", True: "true", False: "false"}.get(value, str(value)) if _is_plain(value) else None
    targets = CLASSES.get(group, [str(present.get("_target_", ""))])
    listed = [one for target in targets for one in choices(target, name)]
    if key == "precision":
        listed = list(PRECISIONS)
    return [*([] if shown is None or shown.startswith("${") else [shown]), *listed]


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)
