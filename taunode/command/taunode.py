"""The `taunode` command: Hydra's command line, with our plan and executors behind it."""

import contextlib
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hydra._internal.callbacks import Callbacks
from hydra._internal.utils import _run_hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, read_write

from taunode.command.completion import complete
from taunode.command.execution import prepare, run_inline
from taunode.command.line import Arguments, Line, parse
from taunode.command.plugins import RunFailed, register
from taunode.command.show_config import show
from taunode.command.slurm import request_of
from taunode.errors import BadInput, plain
from taunode.plan.command_line import named_sweep, options_of, plan_job, plan_multirun, plan_single
from taunode.plan.compose import CONFIG, SHIPPED, Composer, quoted
from taunode.plan.place import check_sweep
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

            with contextlib.suppress(BadInput):  # the leader says so
                parse(arguments)  # names the folder of the user's own code
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
    try:
        given = parse(arguments)
        if given.hydra.cfg or given.hydra.info or given.hydra.shell_completion or given.hydra.hydra_help:
            return _hydra(given)
        composer = given.line.composer()
        if given.line.multirun:
            return _multirun(given.line, composer)
        if composer.master.hydra.mode == RunMode.MULTIRUN:  # `hydra.mode=MULTIRUN` was typed
            swept = replace(given.line, multirun=True)
            return _multirun(swept, swept.composer())
        return _run(given.line, composer)
    except BadInput as error:
        print(f"taunode: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("taunode: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


def _hydra(given: Arguments) -> int:
    """What Hydra itself shows: configurations, its own help, completion."""
    args, line = given.hydra, given.line
    if args.shell_completion:
        complete(args.overrides)
    elif args.cfg:
        show(line, args.cfg, args.package, args.resolve)
    else:
        if args.info:
            line.composer()  # what cannot be composed is refused before half of it has been shown
        with line.explained():
            _run_hydra(args, given.parser, _job, config_path=SHIPPED, config_name=CONFIG)
    return 0


def _run(line: Line, composer: Composer) -> int:
    with line.explained():
        plan = plan_single(composer)
    if request_of(composer) is not None:
        raise BadInput("hydra/launcher=slurm sends sweeps, of one run too: add -m")
    check_machine(plan.runtime)
    if options_of(composer).params:
        print("taunode: one run of an experiment that has a grid; -m runs the grid", file=sys.stderr)
    prepare(plan)
    return finish(run_inline(plan))


def _multirun(line: Line, composer: Composer) -> int:
    with line.explained():
        root = named_sweep(composer)
        if composer.master.hydra.sweeper._target_ == BASIC_SWEEPER:
            plan_multirun(composer, composer.typed)  # it would write first and check later
        check_sweep(Path(root))
    with read_write(composer.master.hydra):
        composer.master.hydra.mode, composer.master.hydra.sweep.dir = RunMode.MULTIRUN, root
        composer.master.hydra.overrides.hydra.append(
            quoted(f"hydra.sweep.dir={root}")
        )  # for each job's own composition
    try:  # as Hydra.multirun does, which would compose keys of swept options into the default one
        with line.explained():
            callbacks = Callbacks(composer.master)
            context = HydraContext(config_loader=composer.loader, callbacks=callbacks)
            callbacks.on_multirun_start(config=composer.master, config_name=CONFIG)
            sweeper = Plugins.instance().instantiate_sweeper(
                config=composer.master, hydra_context=context, task_function=_job
            )
            result = sweeper.sweep(arguments=composer.typed)
            callbacks.on_multirun_end(config=composer.master, config_name=CONFIG)
    except RunFailed as failure:  # another sweeper gives up
        print(f"taunode: {plain(str(failure))}", file=sys.stderr)
        return 1
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
