"""From a plan to its execution: the data are there, the directories written, the runs of one process run inline."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from taunode import build, interrupt
from taunode.command.trust import remember
from taunode.errors import BadInput, plain
from taunode.plan.freeze import Freezer
from taunode.plan.naming import override_key
from taunode.plan.plan import Plan, PlannedRun, place_run
from taunode.plan.write import write
from taunode.runs.claim import forget_result
from taunode.runs.directory import RunDirectory
from taunode.runs.observe import look
from taunode.runs.state import BROKEN, RESULTS
from taunode.show.status import Outcome
from taunode.show.watch import Watch
from taunode.work.assignment import Assignment, startable
from taunode.work.here import run_in_process
from taunode.work.member import Member, channel
from taunode.work.worker import work

LAYERS = (
    "taunode: with an adaptive solver arch.layers is the number of intervals between the weights in time, and the "
    "first step; the steps follow from solver.rtol and solver.atol"
)


def prepare(plan: Plan) -> None:
    """Download what is missing, write the new run directories, and open finished ones where `--again` says so.

    The launching process alone does this: nodes of a cluster may have no network, and tasks that start together
    would all download.

    Raises:
        BadInput: a data set is missing and cannot be downloaded, or the directory cannot be written to.
    """
    if (team := channel()) is not None:
        check_team(plan, team.member)
    data_root, cache_dir = Path(plan.runtime.data_root), Path(plan.runtime.cache_dir)
    for node in {json.dumps(planned.config["dataset"]) for planned in plan.runs}:
        build.data_set({"dataset": json.loads(node)}).prepare(data_root, cache_dir)
    if any(_asks_for_layers_of_an_adaptive_solver(planned) for planned in plan.new):
        print(LAYERS, file=sys.stderr)
    write(plan)
    remember("cache_dir", plan.runtime.cache_dir)
    if plan.again:
        for planned in plan.runs:
            if planned.exists:
                forget_result(planned.run)


def _asks_for_layers_of_an_adaptive_solver(planned: PlannedRun) -> bool:
    adaptive = "rtol" in (planned.config["solver"] or {})
    return adaptive and any(override_key(text) == "arch.layers" for text in planned.overrides)


def check_team(plan: Plan, member: Member) -> None:
    """Refuse what several processes cannot train together as one process would.

    Raises:
        BadInput: there are more processes than GPUs or images in a batch; an adaptive solver, or batch normalisation
            on the CPU.
    """
    world, device = member.share.world, plan.runtime.device
    if device.startswith("cuda:"):
        raise BadInput(f"runtime.device={device}, but {world} processes take a GPU each; valid: cuda or cpu")
    gpus = 0
    if device != "cpu":
        import torch

        gpus = torch.cuda.device_count()
        if member.local_world > gpus and (gpus or device == "cuda"):
            raise BadInput(f"{member.local_world} processes on this machine, which has {gpus} CUDA devices: one each")
    for text in {json.dumps({**planned.config, "seed": 0}) for planned in plan.runs}:
        config = json.loads(text)
        batch = build.schedule(config).batch_size
        if batch < world:
            raise BadInput(f"schedule.batch_size={batch} cannot be shared out to {world} processes")
        if config.get("solver") is not None and "rtol" in config["solver"]:
            raise BadInput(
                f"an adaptive solver chooses its steps for the whole batch, so {world} processes would take others "
                "than one does; use solver=euler, midpoint or rk4"
            )
        if not gpus:
            import torch

            from taunode.training.team import Team

            Team(member.share).synchronised(build.network(config, device="meta"), torch.device("cpu"))


def assignments_of(plan: Plan) -> list[Assignment]:
    return [Assignment(planned.run, plan.runtime) for planned in plan.runs]


def run_inline(plan: Plan) -> Outcome:
    """Execute the runs of a plan in this process's own worker, one after another, with progress on the terminal.

    The processes that torchrun has started beside this one train each run with it. A run that another command has
    begun is waited for, and taken over if that gives it up.
    """
    interrupt.check()
    watch = Watch(plan.root, [planned.run for planned in plan.runs])
    team = channel()
    assignments = assignments_of(plan)
    if team is not None:
        assignments = [replace(one, runtime=team.member.runtime(one.runtime)) for one in assignments]
    said = False
    try:
        while not watch.interrupted:
            tried = [(one.run, one.run.attempts()) for one in assignments]
            if todo := startable(assignments):
                watch.interrupted = bool(work(todo, terminal=sys.stderr, channel=team).received)
                if watch.interrupted or tried == [(one.run, one.run.attempts()) for one in assignments]:
                    break  # what could not be claimed cannot be claimed now
            elif watch.is_at_work():
                if not said:
                    print(plain(f"{plan.root}: another command executes it; waiting for that"), file=sys.stderr)
                    said = True
                time.sleep(1.0)
            else:
                break
    except KeyboardInterrupt:  # while it waited
        watch.interrupted = True
    return watch.outcome()


def run_here(config: DictConfig, directory: Path) -> dict[str, Any]:
    """Train one run in this process; returns its summary. See `taunode.run`."""
    if channel() is not None:
        raise BadInput("taunode.run trains in one process; several together: torchrun … -m taunode.train OVERRIDES")
    freezer = Freezer(Path.cwd())
    frozen, runtime = freezer.freeze(config)
    plan = Plan(directory, [place_run(frozen, [], directory, freezer)], runtime, {"command": ["taunode.run"]})
    prepare(plan)
    run = RunDirectory(directory)
    _, seen, state = look(run)
    if state in RESULTS:
        return run.read_record().summary
    ended = run_in_process(Assignment(run, runtime, newest=seen.attempts), also=BROKEN)
    if ended is None:
        raise BadInput(f"{directory} is being run by somebody else")
    if ended not in RESULTS:
        raise RuntimeError(f"{directory}: {ended}: {run.read_record().attempts[-1]['end']}")
    return run.read_record().summary
