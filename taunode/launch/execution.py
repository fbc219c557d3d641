"""From a plan to its execution: the data are there, the directories written, the runs of one process run inline."""

import json
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from taunode import build
from taunode.errors import BadInput
from taunode.launch.freeze import Freezer
from taunode.launch.local import check_frozen, startable
from taunode.launch.plan import Plan, place_run
from taunode.launch.status import Outcome, Watch
from taunode.runs.claim import forget_result, look
from taunode.runs.directory import RunDirectory
from taunode.runs.state import BROKEN, RESULTS
from taunode.runs.worker import Task, run_in_process, work


def prepare(plan: Plan) -> None:
    """Download what is missing, write the new run directories, and open finished ones where `--again` says so.

    The launching process alone does this: nodes of a cluster may have no network, and tasks that start together
    would all download.

    Raises:
        BadInput: a data set is missing and cannot be downloaded, an existing run's configuration has been tampered
            with, or the directory cannot be written to.
    """
    check_frozen(planned.run for planned in plan.runs if planned.exists)
    data_root, cache_dir = Path(plan.runtime.data_root), Path(plan.runtime.cache_dir)
    for node in {json.dumps(planned.config["dataset"]) for planned in plan.runs}:
        build.data_set({"dataset": json.loads(node)}).prepare(data_root, cache_dir)
    plan.write()
    if plan.again:
        for planned in plan.runs:
            if planned.exists:
                forget_result(planned.run)


def tasks_of(plan: Plan) -> list[Task]:
    return [Task(planned.run, plan.runtime) for planned in plan.runs]


def run_inline(plan: Plan) -> Outcome:
    """Execute the runs of a plan in this process's own worker, one after another, with progress on the terminal."""
    watch = Watch(plan.root, [planned.run for planned in plan.runs])
    todo = startable(tasks_of(plan))
    if todo:
        signals = work(todo, terminal=sys.stderr)
        watch.interrupted = bool(signals.received)
    return watch.outcome()


def describe(plan: Plan) -> list[dict[str, Any]]:
    """A row a run: name, whether it exists, τ's value, L, parameters."""
    return [
        {
            "run": planned.run.path.name,
            "new": not planned.exists,
            **(planned.facts or planned.run.read_record().facts),
        }
        for planned in plan.runs
    ]


def run_here(config: DictConfig, directory: Path) -> dict[str, Any]:
    """Train one run in this process; returns its summary. See `taunode.run`."""
    freezer = Freezer(Path.cwd())
    frozen, runtime = freezer.freeze(config)
    plan = Plan(directory, [place_run(frozen, [], directory, freezer)], runtime, {"command": ["taunode.run"]})
    prepare(plan)
    run = RunDirectory(directory)
    _, seen, state = look(run)
    if state in RESULTS:
        return run.read_record().summary
    ended = run_in_process(Task(run, runtime, newest=seen.attempts), also=BROKEN)
    if ended is None:
        raise BadInput(f"{directory} is being run by somebody else")
    if ended not in RESULTS:
        raise RuntimeError(f"{directory}: {ended}: {run.read_record().attempts[-1]['end']}")
    return run.read_record().summary
