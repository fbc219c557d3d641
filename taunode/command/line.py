"""The command line: Hydra's grammar, and one set of refusals for every command and function that takes overrides."""

import argparse
import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from taunode import own_code
from taunode.errors import BadInput
from taunode.paths import expanded
from taunode.plan.compose import Composer, quoted
from taunode.plan.refusals import Refusal, explain
from taunode.runs.runtime import Runtime

FLAGS = {  # our own → the key of `hydra.sweeper` that it sets, and what it does
    "again": ("again", "do finished runs again, from the beginning"),
    "adopt": ("adopt", "keep runs that this command made before conf/ changed"),
    "new": ("new", "plan them anew beside the old ones"),
    "yes": ("many", "also more than 100,000 runs"),
}
CHANGEABLE = ("runtime", "hydra.launcher")  # what may change when a sweep goes on


@dataclass(frozen=True)
class Line:
    """What was typed.

    Attributes:
        overrides: in Hydra's grammar, with what our flags stand for.
        config_dir: the user's own options, if there are any.
        multirun: a sweep, not one run.
    """

    overrides: list[str]
    config_dir: Path | None = None
    multirun: bool = False

    @classmethod
    def of(
        cls, overrides: Sequence[str], config_dir: Path | str | None = None, multirun: bool = False, **flags: bool
    ) -> "Line":
        """
        Args:
            flags: those of `FLAGS` that are set.

        Raises:
            BadInput: two of them contradict each other; the directory cannot be.
        """
        if flags.get("adopt") and flags.get("new"):
            raise BadInput("--adopt keeps old runs and --new plans them anew: choose one")
        if alone := [name for name in ("adopt", "new", "yes") if flags.get(name) and not multirun]:
            raise BadInput(f"--{alone[0]} is about a sweep: add -m")
        directory = None if config_dir is None else bring(config_dir)
        typed = [quoted(text) for text in overrides]
        return cls(
            [*typed, *(f"hydra.sweeper.{key}=true" for name, (key, _) in FLAGS.items() if flags.get(name))],
            directory,
            multirun,
        )

    @property
    def mode(self) -> RunMode:
        return RunMode.MULTIRUN if self.multirun else RunMode.RUN

    def composer(self) -> Composer:
        """A composer of the command line.

        Raises:
            BadInput: Hydra refuses it.
        """
        with self.explained():
            return Composer.for_command(self.overrides, self.config_dir, self.mode)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Every refusal of Hydra's becomes one clear line.

        Raises:
            BadInput: there was one.
        """
        try:
            yield
        except Refusal as error:
            raise explain(error, self.overrides, self._plain_composer(), self.multirun) from None

    def _plain_composer(self) -> Composer | None:
        """Of the same command without its overrides; but Hydra's own options are chosen, if they can be."""
        for chosen in ([text for text in self.overrides if text.startswith("hydra/")], []):
            try:
                if self.config_dir is None:
                    return _shipped(tuple(chosen))
                return Composer.for_command(chosen, self.config_dir, RunMode.RUN)
            except Refusal:
                continue
        return None  # the user's own --config-dir is at fault


@functools.lru_cache(maxsize=32)
def _shipped(chosen: tuple[str, ...]) -> Composer:
    """A composer without options of the user's own, which can change."""
    return Composer.for_command(chosen, None, RunMode.RUN)


def bring(config_dir: Path | str) -> Path:
    """Name a folder of the user's own options and code.

    Raises:
        BadInput: there is no such directory.
    """
    directory = expanded(config_dir, "--config-dir").absolute()
    if not directory.is_dir():
        what = "is not a directory" if directory.exists() else "no such directory"
        raise BadInput(f"--config-dir {config_dir}: {what}")
    own_code.use(directory)
    return directory


@dataclass(frozen=True)
class Arguments:
    """A whole command line of `taunode`: the line, and what is asked of Hydra itself."""

    line: Line
    hydra: argparse.Namespace = field(repr=False)
    parser: argparse.ArgumentParser = field(repr=False)


def parse(arguments: Sequence[str]) -> Arguments:
    """
    Raises:
        BadInput: a flag that is none, or that is not supported.
    """
    parser = get_args_parser()
    for name, (_, what) in FLAGS.items():
        parser.add_argument(f"--{name}", action="store_true", help=what)
    parser.error = _refuse  # type: ignore[method-assign]  # Hydra makes the parser; argparse would print its whole usage
    args = parser.parse_intermixed_args(list(arguments))  # flags may follow overrides
    if args.config_path or args.config_name or args.experimental_rerun:
        _refuse("--config-path, --config-name and --experimental-rerun are not supported; use --config-dir")
    if (args.package or args.resolve) and not args.cfg:
        _refuse("--package and --resolve belong to --cfg")
    modes = [f"--{name}" for name in ("run", "multirun") if getattr(args, name)]
    shows = [f"--{name}" for name in ("cfg", "info", "shell_completion") if getattr(args, name)]
    if len(modes) > 1 or len(shows) > 1 or (modes and shows and not args.cfg):
        _refuse(f"{' and '.join(modes + shows).replace('_', '-')} exclude each other")
    flags = {name: getattr(args, name) for name in FLAGS}
    line = Line.of(args.overrides, args.config_dir, args.multirun, **flags)
    args.overrides, args.config_dir = line.overrides, None if line.config_dir is None else str(line.config_dir)
    return Arguments(line, args, parser)


def _refuse(message: str) -> NoReturn:
    raise BadInput(f"{message} (see taunode --help)")


def changes(overrides: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What changes when a sweep goes on: of `runtime`, and of `hydra.launcher`.

    Raises:
        BadInput: an override of something else, or one that `taunode` refuses.
    """
    found: dict[str, dict[str, Any]] = {group: {} for group in CHANGEABLE}
    if not overrides:
        return found
    line = Line.of(["hydra/launcher=slurm", *overrides])
    with line.explained():
        composer = Composer.for_command(line.overrides[:1], None, RunMode.RUN)
        parsed = composer.parse(line.overrides[1:])
    for text, override in zip(line.overrides[1:], parsed, strict=True):
        group, _, name = override.key_or_group.rpartition(".")
        plain = override.type is not None and not (override.is_add() or override.is_delete() or override.package)
        if group not in CHANGEABLE or not plain:
            raise BadInput(
                f"{text}: only settings of how runs are executed can change when a sweep goes on: runtime.KEY=VALUE, "
                "hydra.launcher.KEY=VALUE"
            )
        if override.is_sweep_override():
            raise BadInput(f"{text}: several values; a setting has one")
        found[group][name] = None
    composer = line.composer()
    with line.explained():
        config = composer.compose(composer.typed)
        Runtime.from_config(_plain(config.runtime), Path.cwd())
        for group, node in (("runtime", config.runtime), ("hydra.launcher", composer.master.hydra.launcher)):
            values = _plain(node)
            found[group] = {name: values[name] for name in found[group]}
    return found


def _plain(node: DictConfig) -> dict[str, Any]:
    values = OmegaConf.to_container(node, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
