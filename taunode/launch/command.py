"""The command `taunode-sweep`: plan a sweep, see how it stands, go on with it.

Hydra, torch and rich's tables are imported when a command needs them, so that `--help` and completion answer at once.
"""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taunode.errors import BadInput, nearest, run_command

if TYPE_CHECKING:
    from taunode.launch.plan import Plan
    from taunode.runs.directory import RunDirectory

NAME = "taunode-sweep"

SweepArgument = Annotated[Path, typer.Argument(help="A sweep directory, or the directory of one run.", metavar="SWEEP")]
WhereOption = Annotated[
    str | None,
    typer.Option(help="Only runs that meet it: 'arch.depth >= 56 and state == \"failed\"'.", metavar="CONDITION"),
]


def plan(
    overrides: Annotated[
        list[str], typer.Argument(help="What `taunode -m` takes: group=option, key=value, key=a,b,c.")
    ],
    dry_run: Annotated[bool, typer.Option(help="Only print the runs: τ's value, L, parameters.")] = False,
    config_dir: Annotated[Path | None, typer.Option(help="Your own options beside the shipped ones.")] = None,
    adopt: Annotated[bool, typer.Option("--adopt", help="Keep runs made before conf/ changed.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Plan them anew beside the old ones.")] = False,
    multirun: Annotated[
        bool, typer.Option("-m", "--multirun", help="Understood; a plan is always of a sweep.")
    ] = False,
) -> None:
    """Check every run of a sweep, then write the run directories that are missing. Starts nothing.

    Example: taunode-sweep plan --dry-run experiment=digits_depth_tau seed=0,1,2
    """
    from hydra.types import RunMode

    from taunode.launch.application import compose_command
    from taunode.launch.command_line import plan_multirun
    from taunode.launch.compose import quoted
    from taunode.launch.execution import prepare

    flags = [f"hydra.sweeper.{name}=true" for name, given in (("adopt", adopt), ("new", new)) if given]
    composer = compose_command([*map(quoted, overrides), *flags], config_dir, RunMode.MULTIRUN)
    made = plan_multirun(composer, composer.typed)
    shown = Path(os.path.relpath(made.root))
    if dry_run:
        _print_plan(made, f"{shown}: {len(made.new)} of {len(made.runs)} runs are new")
        return
    prepare(made)
    print(f"{shown}: {len(made.new)} runs planned, {len(made.runs) - len(made.new)} were there")
    print(f"start:  taunode-sweep resume {shown}")


def status(
    sweep: SweepArgument,
    where: WhereOption = None,
    all_runs: Annotated[bool, typer.Option("--all", help="A line for every run, however many.")] = False,
) -> None:
    """How the runs of a sweep stand. Exit code 1 if one failed or cannot be read."""
    from rich.console import Console

    from taunode.launch.status import counts, table
    from taunode.launch.status import status as look_at
    from taunode.runs.state import BROKEN, RESULTS

    runs, broken = _runs(sweep, where)
    seen = [look_at(run) for run in runs]
    states = Counter(one.state for one in seen)
    shown = seen if all_runs or len(seen) <= 40 else [one for one in seen if one.state not in RESULTS][:40]
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(table(shown, f"{sweep}: {counts(states).plain or 'no runs'}"))
    if len(shown) < len(seen):
        print(f"{len(seen) - len(shown)} more: --all")
    for name, reason in broken:
        print(f"{NAME}: {name} cannot be read: {reason}", file=sys.stderr)
    sys.exit(1 if broken or any(state in BROKEN for state in states) else 0)


def resume(
    sweep: SweepArgument,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Runtime settings to change: runtime.data_root=DIR …")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Only runs in these states, with commas: failed,timeout.", metavar="STATES")
    ] = None,
    where: WhereOption = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; one a GPU, or a processor, when unsaid.")
    ] = None,
) -> None:
    """Go on with a sweep on this machine: what is planned or was cut off, and what failed once more.

    Done and diverged runs are left alone (see taunode --again).
    """
    from taunode.launch.application import finish
    from taunode.launch.local import run_locally
    from taunode.runs.claim import look
    from taunode.runs.runtime import Runtime
    from taunode.runs.state import BROKEN, State
    from taunode.runs.worker import Task

    wanted = _states(only)
    changes = _runtime_changes(overrides or [])
    runs, broken = _runs(sweep, where)
    tasks, statuses = [], Counter[State]()
    for run in runs:
        record, seen, state = look(run)
        statuses[state] += 1
        if wanted is None or state in wanted:
            runtime = Runtime.from_config(record.runtime | changes, Path.cwd())
            tasks.append(Task(run, runtime, newest=seen.attempts))
    for name, reason in broken:
        print(f"{NAME}: left out {name}: {reason}", file=sys.stderr)
    if not tasks:
        raise BadInput(f"{sweep}: no run is {only}; there are {', '.join(f'{n} {s}' for s, n in statuses.items())}")
    sys.exit(finish(run_locally(tasks, sweep, workers, also=BROKEN)))


def _states(only: str | None) -> frozenset[str] | None:
    from taunode.runs.state import State

    if only is None:
        return None
    for name in only.split(","):
        if name not in list(State):
            raise BadInput(f"--only {name}: no such state; valid: {nearest(name, list(State))}")
    return frozenset(only.split(","))


def _runtime_changes(overrides: list[str]) -> dict[str, Any]:
    import yaml

    changes = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.startswith("runtime."):
            raise BadInput(f"{text}: only runtime settings can change when a sweep goes on: runtime.KEY=VALUE")
        changes[key.removeprefix("runtime.")] = yaml.safe_load(value)
    return changes


def _runs(sweep: Path, where: str | None) -> "tuple[list[RunDirectory], list[tuple[str, str]]]":
    """The runs of a sweep that meet a condition, and those that cannot be read with the reason."""
    from taunode.runs.directory import NewerFormat, SweepDirectory
    from taunode.runs.signature import flatten
    from taunode.runs.state import derive, observe
    from taunode.runs.where import Where

    condition = None if where is None else Where(where)
    chosen, broken = [], []
    for run in SweepDirectory.open(sweep):
        try:
            record = run.read_record()
            if condition is not None:
                state = str(derive(observe(run, record)))
                if not condition({**dict(flatten(run.read_config())), **record.facts, "state": state}):
                    continue
        except NewerFormat:
            raise
        except (BadInput, OSError, ValueError) as error:
            broken.append((run.path.name, str(error)))
            continue
        chosen.append(run)
    return chosen, broken


def _print_plan(made: "Plan", title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from taunode.launch.execution import describe

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in ("run", "", "τ", "value", "L", "parameters"):
        table.add_column(name, justify="left" if name in ("run", "", "τ") else "right")
    for row in describe(made):
        value = f"{row['tau_value']:.6g}" if "tau_value" in row else ""
        is_new = "new" if row["new"] else "exists"
        counts = [str(row.get("blocks", "")), f"{row['parameters']:,}"]
        table.add_row(row["run"], is_new, row.get("tau", ""), value, *counts)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def main() -> None:
    """The entry point."""
    app = typer.Typer(help="Sweeps: plan them, see how they stand, go on with them.", pretty_exceptions_enable=False)
    for command in (plan, status, resume):
        app.command()(command)
    run_command(app, NAME)
