"""The `taunode` command: Hydra's command line, with our plan and executors behind it."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from taunode.command.execution import prepare, run_inline
from taunode.command.plugins import RunFailed, register
from taunode.command.slurm import request_of
from taunode.errors import BadInput, plain
from taunode.plan.command_line import named_sweep, options_of, plan_job, plan_multirun, plan_single
from taunode.plan.compose import CONFIG, SHIPPED, Composer, Loader, quoted, search_path
from taunode.plan.refusals import Refusal, explain
from taunode.runs.state import RESULTS
from taunode.show.status import Outcome, counts
from taunode.work.machine import check_machine
from taunode.work.member import channel

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def main(arguments: Sequence[str]) -> int:
    """Do what a command line says; returns the exit code.

    Of several processes that torchrun has started, the first does that, and the others train with it.
    """
    try:
        team = channel()
        if team is not None and not team.member.leads:
            from taunode.work.follower import follow

            return follow(team)
    except BadInput as error:
        print(f"taunode: {error}", file=sys.stderr)
        return 2
    code = 1
    try:
        code = _main(arguments)
    finally:
        if team is not None:
            team.announce({"over": code})
    return code


def _main(arguments: Sequence[str]) -> int:
    register()
    parser = get_args_parser()
    for flag, what in (
        ("again", "do finished runs again, from the beginning"),
        ("adopt", "keep runs that this command made before conf/ changed"),
        ("new", "plan them anew beside the old ones"),
    ):
        parser.add_argument(f"--{flag}", action="store_true", help=what)
    parser.error = _refuse  # type: ignore[method-assign]  # argparse would print its whole usage
    try:
        args = parser.parse_intermixed_args(list(arguments))  # flags may follow overrides
        if args.config_path or args.config_name or args.experimental_rerun:
            _refuse("--config-path, --config-name and --experimental-rerun are not supported; use --config-dir")
        if (args.package or args.resolve) and not args.cfg:
            _refuse("--package and --resolve belong to --cfg")
        args.overrides = [quoted(text) for text in args.overrides]
        flags = [f"hydra.sweeper.{name}=true" for name in ("again", "adopt", "new") if getattr(args, name)]
        config_dir = Path(args.config_dir) if args.config_dir else None
        if args.cfg or args.info or args.shell_completion or args.hydra_help:
            return _hydra(args, parser, config_dir)
        mode = RunMode.MULTIRUN if args.multirun else RunMode.RUN
        composer = compose_command([*args.overrides, *flags], config_dir, mode)
        if args.multirun or composer.master.hydra.mode == RunMode.MULTIRUN:
            return _multirun(composer, [*args.overrides, *flags], config_dir)
        return _run(composer, config_dir)
    except BadInput as error:
        print(f"taunode: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _refuse(message: str) -> NoReturn:
    raise BadInput(f"{message} (see taunode --help)")


def compose_command(overrides: Sequence[str], config_dir: Path | None, mode: RunMode) -> Composer:
    """A composer of the command line; every refusal of Hydra's becomes one clear line."""
    try:
        return Composer.for_command(overrides, config_dir, mode)
    except Refusal as error:
        raise explain(error, overrides, _plain_composer(config_dir, overrides), mode is RunMode.MULTIRUN) from None


def _plain_composer(config_dir: Path | None, overrides: Sequence[str]) -> Composer | None:
    """Of the same command without its overrides; but Hydra's own options are chosen, if they can be."""
    for chosen in ([text for text in overrides if text.startswith("hydra/")], []):
        try:
            return Composer.for_command(chosen, config_dir, RunMode.RUN)
        except Refusal:
            continue
    return None  # the user's own --config-dir is at fault


def _hydra(args: argparse.Namespace, parser: argparse.ArgumentParser, config_dir: Path | None) -> int:
    """What Hydra itself shows: configurations, its own help, completion."""
    if args.cfg:
        composer = compose_command(args.overrides, config_dir, RunMode.RUN)  # its mistakes in our words
        try:
            OmegaConf.to_container(composer.compose(composer.typed), resolve=args.resolve)
        except Refusal as error:
            raise explain(error, args.overrides, _plain_composer(config_dir, args.overrides), False) from None
    if args.shell_completion:
        hydra = Hydra.create_main_hydra2("taunode", search_path(config_dir))
        hydra.config_loader = Loader(search_path(config_dir))
        hydra.shell_completion(CONFIG, args.overrides)
        return 0
    _run_hydra(args, parser, _job, config_path=SHIPPED, config_name=CONFIG)
    return 0


def _run(composer: Composer, config_dir: Path | None) -> int:
    try:
        plan = plan_single(composer)
    except Refusal as error:
        raise explain(error, composer.typed, _plain_composer(config_dir, []), False) from None
    if request_of(composer) is not None:
        raise BadInput("hydra/launcher=slurm sends sweeps, of one run too: add -m")
    check_machine(plan.runtime)
    if options_of(composer).params:
        print("taunode: one run of an experiment that has a grid; -m runs the grid", file=sys.stderr)
    prepare(plan)
    return finish(run_inline(plan))


def _multirun(composer: Composer, overrides: list[str], config_dir: Path | None) -> int:
    overrides = [*overrides, "hydra.mode=MULTIRUN", quoted(f"hydra.sweep.dir={named_sweep(composer)}")]
    if composer.master.hydra.sweeper._target_ == BASIC_SWEEPER:
        plan_multirun(composer, composer.typed)  # it would write first and check later
    composer = compose_command(overrides, config_dir, RunMode.MULTIRUN)
    callbacks = Callbacks(composer.master)
    context = HydraContext(config_loader=composer.loader, callbacks=callbacks)
    try:  # as Hydra.multirun does, which would compose keys of swept options into the default one
        callbacks.on_multirun_start(config=composer.master, config_name=CONFIG)
        sweeper = Plugins.instance().instantiate_sweeper(
            config=composer.master, hydra_context=context, task_function=_job
        )
        result = sweeper.sweep(arguments=composer.typed)
        callbacks.on_multirun_end(config=composer.master, config_name=CONFIG)
    except RunFailed as failure:  # another sweeper gives up
        print(f"taunode: {failure}", file=sys.stderr)
        return 1
    except Refusal as error:
        raise explain(error, overrides, _plain_composer(config_dir, overrides), multirun=True) from None
    if isinstance(result, Outcome):
        return finish(result)
    if isinstance(result, int):  # the runs were submitted, and that has been said
        return result
    batches = result if isinstance(result, list) else []  # another sweeper may return whatever it likes
    jobs = [job for batch in batches for job in (batch if isinstance(batch, Sequence) else [batch])]
    return 1 if any(job.status is not JobStatus.COMPLETED for job in jobs if isinstance(job, JobReturn)) else 0


def _job(config: DictConfig) -> float:
    """One job of Hydra's basic launcher: one of our single runs, in the sweep's directory.

    Returns:
        The final test error in percent, for those who minimise it.
    """
    plan = plan_job(config, OmegaConf.create({"hydra": HydraConfig.get()}).hydra)
    prepare(plan)
    outcome = run_inline(plan)
    if outcome.interrupted:
        raise KeyboardInterrupt
    (status,) = outcome.statuses
    if status.state not in RESULTS:
        raise RunFailed(f"{status.name}: {status.word} {status.note}")
    return status.objective


def finish(outcome: Outcome) -> int:
    """Say how the runs ended and what to type next; returns the exit code."""
    for status in outcome.statuses:
        if status.has_failed:
            print(plain(f"{status.name}: {status.word}: {status.note}"), file=sys.stderr)
    shown = shlex.quote(os.path.relpath(outcome.root))
    if outcome.is_sweep:
        print(f"{shown}: {'interrupted: ' if outcome.interrupted else ''}{counts(outcome.states).plain}")
        print(f"table:  multirun-analysis table {shown}")
        if outcome.exit_code == 3:
            print("the rest is with another command, or with Slurm")
            print(f"watch:  taunode-sweep status --watch {shown}")
        elif outcome.exit_code:
            print(f"go on:  taunode-sweep resume {shown}")
    else:
        (status,) = outcome.statuses
        error = "" if status.test_error is None else f", test error {status.test_error:.2f} %"
        print(plain(f"{shown}: {status.word} {status.note}".rstrip() + error))
        if outcome.exit_code == 130:
            print(f"go on:  taunode-sweep resume {shown}")
    return outcome.exit_code
