"""Compose configurations as Hydra does, but many at once: each combination of groups once, values on a copy.

Hydra takes 100 ms for a configuration; 1,000 runs of a grid share a handful of group combinations, so the expensive
part is done for each of those, and the private function that Hydra itself applies values with does the rest.
"""

import contextlib
import copy
import functools
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import ConfigCompositionException, HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from taunode import own_code
from taunode.errors import BadInput

CONFIG = "config"
SHIPPED = "pkg://taunode.conf"
PYTHONS = (ValueError, TypeError, LookupError, AttributeError, AssertionError, OSError, RecursionError, yaml.YAMLError)


def search_path(config_dir: Path | None = None) -> ConfigSearchPath:
    """Where configuration is looked for: the shipped one, and a user's directory beside it (`--config-dir`).

    Raises:
        BadInput: there is no such directory.
    """
    search = create_config_search_path(SHIPPED)
    if config_dir is not None:
        if not config_dir.is_dir():
            what = "is not a directory" if config_dir.exists() else "no such directory"
            raise BadInput(f"--config-dir {config_dir}: {what}")
        _refuse_base_60(config_dir)
        search.prepend("command-line", f"file://{config_dir.resolve()}", SearchPathQuery(provider="schema"))
    for directory in own_code.lasting():
        if config_dir is None or directory != config_dir.resolve():
            _refuse_base_60(directory)
            search.prepend("own", f"file://{directory}", SearchPathQuery(provider="schema"))
    return search


BASE_60 = re.compile(r"[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


def _refuse_base_60(config_dir: Path) -> None:
    """`time: 12:00:00` without quotes is the number 43200 in YAML 1.1, which Slurm would take for minutes.

    Raises:
        BadInput: there is such a value.
    """
    for path in own_code.option_files(config_dir):
        try:
            tokens = list(yaml.scan(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
        except yaml.YAMLError:
            continue  # Hydra says so, if it comes to it
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
        for token in tokens:
            if isinstance(token, yaml.ScalarToken) and token.plain and BASE_60.fullmatch(token.value):
                line = token.start_mark.line + 1
                raise BadInput(f"{path}, line {line}: YAML reads {token.value} in base 60; write '{token.value}'")


class Loader(ConfigLoaderImpl):
    """Hydra's, that also lists and completes the options of a group inside a group: `experiment=small/mnist_fig2`."""

    def get_group_options(
        self,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: list[str] | None = None,
    ) -> list[str]:
        files = super().get_group_options(group_name, ObjectType.CONFIG, config_name, overrides)
        if not files or group_name in ("", "hydra") or results_filter is None:
            return super().get_group_options(group_name, results_filter, config_name, overrides)
        if results_filter is ObjectType.GROUP:
            return []
        inside = super().get_group_options(group_name, ObjectType.GROUP, config_name, overrides)
        nested = (
            f"{name}/{option}"
            for name in inside
            for option in self.get_group_options(f"{group_name}/{name}", results_filter, config_name, overrides)
        )
        return [*files, *nested]


class Composer:
    """Composes what override lists stand for.

    Args:
        loader: Hydra's.
        master: the configuration of the whole command, which carries its `hydra.` overrides.
    """

    def __init__(self, loader: ConfigLoaderImpl, master: DictConfig) -> None:
        self.loader, self.master = loader, master
        self._parser = OverridesParser.create(config_loader=loader)
        self._parse = functools.cache(self._parse_one)
        self._base = functools.cache(self._load)

    @classmethod
    def for_command(cls, overrides: Sequence[str], config_dir: Path | None, mode: RunMode) -> "Composer":
        """A composer for a command line; its `hydra.` settings are in `master.hydra`.

        Of a sweep's overrides, only Hydra's own and groups with one option shape `master`: a key may be one that the
        options of a swept group have and the default option has not (`arch=rkhs_node,shl_node arch.layers=5`).
        """
        setup_globals()
        JobRuntime.instance().set("name", "taunode")
        loader = Loader(config_search_path=search_path(config_dir))
        shared, typed = list(overrides), None
        with _hydras_words():
            parsed = OverridesParser.create(config_loader=loader).parse_overrides(shared)
            for override in parsed:
                if match := re.fullmatch(r"hydra\.(launcher|sweeper)(\._target_)?", override.key_or_group):
                    raise BadInput(f"{override.input_line}: a {match[1]} is chosen with hydra/{match[1]}=OPTION")
            if mode is RunMode.MULTIRUN:
                pairs = list(zip(shared, parsed, strict=True))
                typed = [text for text, override in pairs if not override.is_hydra_override()]
                shared = [
                    text for text, override in pairs if override.is_hydra_override() or _is_choice(loader, override)
                ]
            master = loader.load_configuration(CONFIG, shared, run_mode=mode)
        if typed is not None:
            with read_write(master.hydra):
                master.hydra.overrides.task = typed
        return cls(loader, master)

    @property
    def typed(self) -> list[str]:
        """The command line's overrides, without those of `hydra.`."""
        return as_typed(self.master.hydra)

    def parse(self, overrides: Sequence[str]) -> list[Override]:
        with _hydras_words():
            return self._parser.parse_overrides(list(overrides))

    def _parse_one(self, text: str) -> Override:
        return self.parse([text])[0]

    def _load(self, overrides: tuple[str, ...]) -> DictConfig:
        with _hydras_words():
            config = self.loader.load_sweep_config(self.master, list(overrides))
        with open_dict(config):
            config.pop("hydra")
        return config

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one run, without the `hydra` node; equal to Hydra's own composition."""
        groups: list[str] = []
        values: list[Override] = []
        for text in overrides:
            override = self._parse(text)
            if override.is_sweep_override():
                raise BadInput(f"{text}: several values for one run; sweep with -m")
            is_value = isinstance(override.value(), dict) or not self.loader.repository.group_exists(
                override.key_or_group
            )
            if is_value and not text.lstrip("+~").startswith("hydra."):
                values.append(override)
            else:
                groups.append(text)
        config = copy.deepcopy(self._base(tuple(groups)))
        with _hydras_words():
            ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return config


def _is_choice(loader: ConfigLoaderImpl, override: Override) -> bool:
    """Whether an override gives a group one option."""
    return not override.is_sweep_override() and bool(loader.repository.group_exists(override.key_or_group))


def as_typed(hydra: DictConfig) -> list[str]:
    """A `hydra` node's overrides as they were typed: to iterate over them would resolve `tau.scale=${seed}` here."""
    overrides = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    assert isinstance(overrides, list)
    return [str(text) for text in overrides]


@contextlib.contextmanager
def _hydras_words() -> Iterator[None]:
    """What Hydra raises as whatever Python raised inside of it is a refusal like any other: a group that is set to
    null, a list in the place of an option, a file that is no YAML, a name that no file can have. A refusal is one
    line: nothing is said of how lists of defaults were once written."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except HydraException:  # some of which are OSErrors, too
        raise
    except PYTHONS as error:
        raise ConfigCompositionException(" ".join(str(error).split()) or type(error).__name__) from None


TEXT = ("hydra.sweeper.where", "hydra.sweep.dir", "hydra.run.dir")  # a condition, and paths: any character may be in


def quoted(text: str) -> str:
    """`hydra.sweeper.where=CONDITION` and paths with the quotes that Hydra's grammar wants around them; anything else
    as it is."""
    key, equals, value = text.partition("=")
    if key not in TEXT or not equals or not value or value[:1] in ("'", '"') or value == "null":
        return text
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{key}='{escaped}'"


def keys(config: DictConfig) -> list[str]:
    """The dotted keys that a command line can change, groups and leaves."""
    found = []
    for key in config:
        if key == "_target_":
            continue
        found.append(str(key))
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none():
            found += [f"{key!s}.{name}" for name in keys(node)]
    return found
