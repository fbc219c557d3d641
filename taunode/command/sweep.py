"""The command `taunode-sweep`: plan a sweep, see how it stands, go on with it.

Hydra, torch and rich's tables are imported when a command needs them, so that `--help` and completion answer at once.
"""

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taunode import interrupt
from taunode.command.going_on import NAME, bring_code, choose, execute
from taunode.command.keeping import archive, note, restore
from taunode.command.reproduce import reproduce
from taunode.errors import BadInput, plain, run_command

if TYPE_CHECKING:
    from rich.console import Group

    from taunode.plan.plan import Plan
    from taunode.show.estimate import Pilot
    from taunode.show.selection import Selected, Selection


SweepArgument = Annotated[Path, typer.Argument(help="A sweep directory, or the directory of one run.", metavar="SWEEP")]
RunArgument = Annotated[Path, typer.Argument(help="A run's directory.", metavar="RUN")]
OnlyOption = Annotated[
    str | None, typer.Option(help="Only runs in these states, with commas: failed,timeout.", metavar="STATES")
]
ConfigDirOption = Annotated[
    Path | None, typer.Option(help="A directory of your own options, and the modules that they name.")
]
WhereOption = Annotated[
    str | None,
    typer.Option(help="Only runs that meet it: 'arch.depth >= 56 and state == \"failed\"'.", metavar="CONDITION"),
]


def _complete(incomplete: str) -> list[str]:
    """Tab completion of overrides, as `taunode` completes them."""
    from taunode.command.completion import words
    from taunode.command.plugins import register

    register()
    return words(incomplete)


def plan(
    overrides: Annotated[
        list[str],
        typer.Argument(help="What `taunode -m` takes: group=option, key=value, key=a,b,c.", autocompletion=_complete),
    ],
    dry_run: Annotated[
        bool, typer.Option(help="Only print the runs, and the hours of each cell; on Slurm the jobs, too.")
    ] = False,
    pilot: Annotated[
        bool, typer.Option("--pilot", help="Do some steps of each kind of run that no earlier run tells the hours of.")
    ] = False,
    max_hours: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="H", help="Refuse (exit code 2) what takes more hours of a worker, or nobody knows."
        ),
    ] = None,
    config_dir: ConfigDirOption = None,
    adopt: Annotated[bool, typer.Option("--adopt", help="Keep runs made before conf/ changed.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Plan them anew beside the old ones.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Also more than 100,000 runs.")] = False,
    multirun: Annotated[
        bool, typer.Option("-m", "--multirun", help="Understood; a plan is always of a sweep.")
    ] = False,
) -> None:
    """Check every run of a sweep, then write the run directories that are missing. Starts nothing.

    Examples: taunode-sweep plan --dry-run experiment=digits_depth_tau seed=0,1,2;
    taunode-sweep plan --pilot --max-hours 8 experiment=digits_depth_tau
    """
    from taunode.command.execution import prepare
    from taunode.command.line import Line
    from taunode.command.plugins import register
    from taunode.command.slurm import request_of
    from taunode.plan.command_line import plan_multirun
    from taunode.show.estimate import check_hours, estimates
    from taunode.show.preview import print_hours, print_jobs, print_plan

    register()
    line = Line.of(overrides, config_dir, multirun=True, adopt=adopt, new=new, yes=yes)
    composer = line.composer()
    with line.explained():
        made = plan_multirun(composer, composer.typed, apart=True)
    shown = shlex.quote(os.path.relpath(made.root))
    request = request_of(composer)
    known = estimates(made, _pilot(made) if pilot else None) if dry_run or pilot or max_hours is not None else []
    if max_hours is not None:
        check_hours(known, max_hours)
    if dry_run:
        print_plan(made, f"{shown}: {len(made.new)} of {len(made.runs)} runs are new")
        print_hours(known)
        if request is not None:
            print_jobs(made, request)
        return
    prepare(made)
    print(f"{shown}: {len(made.new)} runs planned, {len(made.runs) - len(made.new)} were there")
    again = f"taunode -m {shlex.join(overrides)}" if request is not None else f"taunode-sweep resume {shown}"
    print(f"start:  {again}")


def _pilot(made: "Plan") -> "Pilot":
    from taunode.command.pilot import pilot

    return lambda planned: pilot(planned, made.runtime)


def status(
    sweep: SweepArgument,
    where: WhereOption = None,
    all_runs: Annotated[bool, typer.Option("--all", help="A line for every run, however many.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until nothing is at work.")] = False,
) -> None:
    """How the runs of a sweep stand. Exit code 1 if one failed or cannot be read."""
    from rich.console import Console
    from rich.live import Live

    from taunode.runs.state import BROKEN
    from taunode.show.logs import AT_WORK
    from taunode.show.selection import select
    from taunode.show.status import summary

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, emoji=False)
    chosen = select(sweep, where)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while watch and any(one.state in AT_WORK for one in chosen.runs):
            began = time.monotonic()
            live.update(_overview(sweep, chosen, False, console.width), refresh=True)
            chosen = select(sweep, where)
            time.sleep(max(1.0, 20 * (time.monotonic() - began)))
    console.print(_overview(sweep, chosen, all_runs, console.width))
    if results := summary([one.seen.done["summary"] for one in chosen.runs if one.seen.done is not None]):
        print(results)
    if left_out := len(chosen.runs) - len(_shown(chosen, all_runs)):
        print(f"{left_out} more: --all")
    for name, reason in chosen.broken:
        print(plain(f"{NAME}: {name} cannot be read: {reason}"), file=sys.stderr)
    if chosen.slurm.silent:
        print(f"{NAME}: squeue does not answer; what waits in the queue is shown as planned", file=sys.stderr)
    _warn_of_code(chosen)
    sys.exit(1 if chosen.broken or any(one.state in BROKEN for one in chosen.runs) else 0)


def _shown(chosen: "Selection", all_runs: bool) -> "list[Selected]":
    """The runs that have a line: all of them, or the first 40 without a result where they are many."""
    from taunode.runs.state import RESULTS

    runs = chosen.runs
    return runs if all_runs or len(runs) <= 40 else [one for one in runs if one.state not in RESULTS][:40]


def _overview(sweep: Path, chosen: "Selection", all_runs: bool, width: int) -> "Group":
    """Counts, and the table of a selection."""
    from rich.console import Group
    from rich.text import Text

    from taunode.runs.directory import RunDirectory
    from taunode.runs.note import noted
    from taunode.show.status import counts, status_of, table

    title = Text(f"{plain(str(sweep))}: ", style="italic")
    title += counts(one.state for one in chosen.runs) if chosen.runs else Text("no runs")
    above = [title]
    if not RunDirectory(sweep).record.exists() and (said := noted(sweep)):
        above.append(Text(str(said)))
    shown = _shown(chosen, all_runs)
    rows = [
        status_of(one.run, one.record, one.seen, one.state, chosen.slurm).with_note(noted(one.run.path))
        for one in shown
    ]
    return Group(*above, table(rows, width)) if rows else Group(*above)


def _warn_of_code(chosen: "Selection") -> None:
    """Say so when attempts of one sweep ran different code."""
    digests: dict[str, str] = {}
    for one in chosen.runs:
        for attempt in one.record.attempts:
            if "code" in attempt:
                digests.setdefault(attempt["code"], one.record.name)
    if len(digests) > 1:
        told = ", ".join(f"{digest} ({name})" for digest, name in digests.items())
        print(plain(f"{NAME}: attempts of this sweep ran different code: {told}"), file=sys.stderr)


def resume(
    sweep: SweepArgument,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Settings to change: runtime.data_root=DIR, on Slurm hydra.launcher.time=240 …",
            autocompletion=_complete,
        ),
    ] = None,
    only: OnlyOption = None,
    where: WhereOption = None,
    workers: Annotated[
        int | None, typer.Option(help="On this machine: worker processes; one a GPU, or a processor, when unsaid.")
    ] = None,
    config_dir: ConfigDirOption = None,
    here: Annotated[bool, typer.Option("--here", help="On this machine, though the sweep was sent to Slurm.")] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Let its jobs run what its files say, though you have not sent it."),
    ] = False,
) -> None:
    """Go on with a sweep where it was started, here or on Slurm: what is planned or was cut off, and what failed.

    Done and diverged runs are left alone (see taunode --again). What ran out of memory on Slurm gets more.
    """
    from taunode.command import line
    from taunode.command.slurm import Sender, last_request
    from taunode.command.taunode import finish
    from taunode.command.trust import ask, remember, shell_of
    from taunode.runs.directory import sweep_of
    from taunode.runs.state import BROKEN

    changes = line.changes(overrides or [])
    chosen = choose(sweep, where, only)
    bring_code(sweep, chosen, config_dir)
    if here or (workers is not None) or not (sweep_of(sweep).submissions() or changes["hydra.launcher"]):
        if changes["hydra.launcher"]:
            raise BadInput(f"hydra.launcher settings are of jobs; {sweep} goes on here")
        sys.exit(finish(execute(sweep, chosen, changes["runtime"], workers, also=BROKEN)))
    request = last_request(sweep_of(sweep), changes["hydra.launcher"])
    remember("shell", shell_of(changes["hydra.launcher"]))
    ask(sweep, request.values, yes)
    runs = [one.run for one in chosen.runs]
    sender = Sender(sweep_of(sweep).path, runs, request, changes["runtime"], again=lambda state: True)
    sender.check()
    code = finish(sender.wait()) if request.options.wait else sender.send()
    sys.exit(1 if chosen.left_out and code in (0, 3) else code)


def worker(
    sweep: SweepArgument,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Runtime settings to change: runtime.device=cpu …", autocompletion=_complete),
    ] = None,
    only: OnlyOption = None,
    where: WhereOption = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; one a GPU, or a processor, when unsaid.")
    ] = None,
    config_dir: ConfigDirOption = None,
) -> None:
    """Help with a sweep from this machine: take runs that are planned or queued, until none is left.

    Any number of workers, jobs and commands may do so at a time: each run is executed once.
    """
    from taunode.command import line
    from taunode.command.taunode import finish

    changes = line.changes(overrides or [])
    if changes["hydra.launcher"]:
        raise BadInput("hydra.launcher settings are of jobs; a worker works here")
    chosen = choose(sweep, where, only)
    bring_code(sweep, chosen, config_dir)
    sys.exit(finish(execute(sweep, chosen, changes["runtime"], workers, wait=False)))


def logs(
    run: RunArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Also what is added, until the run ends.")] = False,
) -> None:
    """What the newest attempt at a run has printed."""
    from taunode.show.logs import print_log
    from taunode.show.selection import one_run

    print_log(one_run(run), follow)


def why(first: RunArgument, second: RunArgument) -> None:
    """The keys in which two runs differ. Exit code 1 if there are any."""
    from taunode.runs.signature import differences
    from taunode.show.selection import one_run

    found = differences(one_run(first).read_config(), one_run(second).read_config())
    for key, (one, other) in found.items():
        print(plain(f"{key}: {json.dumps(one)} {json.dumps(other)}"))
    if not found:
        print("the same run")
    sys.exit(1 if found else 0)


def cancel(sweep: SweepArgument, where: WhereOption = None, only: OnlyOption = None) -> None:
    """Stop a sweep, or some of its runs, here and in Slurm; runs at work save themselves, and `resume` goes on.

    Exit code 1 if something of it cannot be cancelled.
    """
    from taunode.command.cancel import cancel as stop
    from taunode.runs.directory import RunDirectory
    from taunode.show.selection import select

    everything = where is None and only is None and not RunDirectory(sweep).record.exists()
    done = stop(sweep, select(sweep, where, only), everything)
    for word, names in (("jobs", done.jobs), ("at work", done.at_work), ("waiting", done.waiting)):
        if names:
            more = f" and {len(names) - 20} more" if len(names) > 20 else ""
            print(plain(f"cancelled, {word}: {', '.join(names[:20])}{more}"))
    if not (done.jobs or done.at_work or done.waiting):
        print(plain(f"{sweep}: nothing of it is at work or in Slurm's queue"))
    for name, reason in done.broken:
        print(plain(f"{NAME}: {name} cannot be cancelled: {reason}"), file=sys.stderr)
    sys.exit(1 if done.broken else 0)


def list_sweeps(
    directory: Annotated[Path, typer.Argument(help="Where to look; here when unsaid.", metavar="DIR")] = Path(),
) -> None:
    """All sweeps below a directory: how their runs stand, and when something last happened."""
    from rich.console import Console

    from taunode.show.listing import listing

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, emoji=False)
    console.print(listing(directory, console.width))


def main() -> None:
    """The entry point."""
    interrupt.listen()
    app = typer.Typer(help="Sweeps: plan them, see how they stand, go on with them.", pretty_exceptions_enable=False)
    for command in (plan, status, logs, resume, worker, cancel, why, note, archive, restore, reproduce):
        app.command()(command)
    app.command("list")(list_sweeps)
    run_command(app, NAME)
