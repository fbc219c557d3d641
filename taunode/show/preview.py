"""What a plan would do: its runs, and on Slurm the resources, arrays, batch scripts and hours."""

import contextlib
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from taunode import build
from taunode.cluster.resources import Request, Resources
from taunode.cluster.submit import Arrays, Wanted, divided, job_name
from taunode.errors import plain
from taunode.plan.plan import Plan, PlannedRun
from taunode.runs.directory import SweepDirectory
from taunode.runs.files import Unreadable
from taunode.runs.observe import look
from taunode.runs.signature import flatten, scientific
from taunode.runs.state import State
from taunode.show.estimate import Estimate, total


def print_plan(made: Plan, title: str) -> None:
    """A line a run: τ's value, L, parameters; and the data that are not there yet."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in ("run", "", "τ", "value", "L", "parameters"):
        table.add_column(name, justify="left" if name in ("run", "", "τ") else "right")
    for row in _rows(made):
        value = f"{row['tau_value']:.6g}" if "tau_value" in row else ""
        is_new = "new" if row["new"] else "exists"
        counts = [str(row.get("blocks", "")), f"{row['parameters']:,}"]
        table.add_row(row["run"], is_new, row.get("tau", ""), value, *counts)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
    root = Path(made.runtime.data_root)
    for node in {json.dumps(planned.config["dataset"]): None for planned in made.runs}:
        data_set = build.data_set({"dataset": json.loads(node)})
        if megabytes := data_set.to_download(root):
            print(f"would download {data_set.name}, {megabytes} MB, into {root}")


def print_hours(cells: Sequence[Estimate]) -> None:
    """A line a cell that has new runs: the hours of a worker that they take together, and how that is known."""
    if not cells:
        return
    table = Table(title="\nhours of a worker", title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in ("cell", "runs", "hours", "by"):
        table.add_column(name, justify="right" if name in ("runs", "hours") else "left")
    for one in cells:
        table.add_row(Text(plain(one.cell)), str(one.runs), one.hours, Text(plain(one.source)))
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
    seconds, error = total(cells)
    if unknown := sum(one.seconds is None for one in cells):
        print(f"unknown: {unknown} of {len(cells)} cells; --pilot does some steps of each kind")
    if unknown < len(cells):
        print(f"together: {seconds / 3600:.2g} ± {error / 3600:.1g} hours")


def _rows(plan: Plan) -> list[dict[str, Any]]:
    """A row a run: name, whether it exists, τ's value, L, parameters."""
    return [
        {
            "run": planned.run.path.name,
            "new": not planned.exists,
            **(planned.facts or planned.run.read_record().facts),
        }
        for planned in plan.runs
    ]


def print_jobs(made: Plan, request: Request) -> None:
    """For each kind of resources what it is, its arrays, the hours, and the batch script of its first array."""
    sweep = SweepDirectory(made.root)
    planned = {run.run.path: run for run in made.new}
    wanted = [Wanted(run.run, request.of(dict(flatten(run.config)))) for run in made.new]
    seconds = _seconds_before(made)
    share = request.options.runs_per_task * request.options.workers_per_task
    for members, arrays in divided(wanted, request)[0]:
        resources = members[0].resources
        sizes = " + ".join(str(array.tasks) for array in arrays)
        hours = _hours([planned[one.run.path] for one in members], seconds)
        print(f"\n{len(members)} runs: {_told(resources)}; tasks: {sizes}; hours: {hours}\n")
        executor = Arrays(sweep.slurm, f"{made.root.name}-<id>", request, resources)
        name = job_name(made.root, [one.run.path.name for one in members][: arrays[0].tasks * share], 0, len(wanted))
        print(executor.text(arrays[0], sweep.submission("<id>"), name))


def _told(resources: Resources) -> str:
    values = resources.to_json()
    sbatch = values.pop("sbatch")
    return ", ".join(f"{name} {value}" for name, value in {**values, **sbatch}.items() if value is not None)


def _likeness(config: dict[str, Any]) -> str:
    """Equal for runs that take equally long: all but the seed and τ."""
    return json.dumps({key: v for key, v in scientific(config).items() if key != "seed" and key[:4] != "tau."})


def _seconds_before(made: Plan) -> dict[str, float]:
    """How long the runs of each likeness took that the sweep has done, on average."""
    found: dict[str, list[float]] = defaultdict(list)
    for run in SweepDirectory(made.root):
        with contextlib.suppress(Unreadable):
            record, _, state = look(run)
            if state is State.DONE and "seconds" in record.summary:
                found[_likeness(run.read_config())].append(record.summary["seconds"])
    return {likeness: sum(seconds) / len(seconds) for likeness, seconds in found.items()}


def _hours(runs: list[PlannedRun], seconds: dict[str, float]) -> str:
    """What like runs took before, of as many runs as there are; `unknown` where there were none."""
    known = [seconds[like] for run in runs if (like := _likeness(run.config)) in seconds]
    if not known:
        return "unknown"
    unknown = len(runs) - len(known)
    return f"{sum(known) / 3600:.2g}" + (f", and {unknown} runs unknown" if unknown else "")
