"""Hydra's plugins of this project: the sweeper that plans, and launchers that execute the plan here or on Slurm.

Hydra accepts a plugin only under the name `hydra_plugins.`, so this module is entered under that name (`register`);
a real package there would show our plugins to every other Hydra application of the environment.
"""

import importlib
import sys
import types
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper as HydraSweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from taunode.build import convert
from taunode.cluster.resources import Request
from taunode.command.execution import assignments_of, check_team, prepare, run_inline
from taunode.command.local import run_locally
from taunode.command.slurm import Sender
from taunode.command.trust import remember, shell_of
from taunode.data.share import Share
from taunode.plan.command_line import plan_jobs, plan_multirun
from taunode.plan.compose import Composer, quoted
from taunode.plan.plan import Plan
from taunode.runs.signature import flatten
from taunode.runs.state import RESULTS
from taunode.show.status import Outcome, Status
from taunode.work.machine import check_machine
from taunode.work.member import Member, channel

NAME = "hydra_plugins.taunode"


def register() -> None:
    """Make Hydra find the plugins; call it before anything is composed."""
    try:
        package = importlib.import_module("hydra_plugins")
    except ImportError:
        package = sys.modules["hydra_plugins"] = types.ModuleType("hydra_plugins")
        package.__path__ = []
    sys.modules[NAME] = sys.modules[__name__]
    package.__dict__["taunode"] = sys.modules[__name__]
    for plugin in (Sweeper, Local, Slurm):
        plugin.__module__ = NAME
        Plugins.instance().register(plugin)


class RunFailed(RuntimeError):  # noqa: N818 -- Hydra's sweepers get it as a job's result
    """A run of a search has no result."""


class Sweeper(HydraSweeper):
    """Plans every run of a command line before the first is written, and hands the plan to the launcher."""

    def __init__(self, **options: Any) -> None:
        """Hydra hands over the node's keys; they are read, checked, from the composed configuration instead."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._composer = Composer(hydra_context.config_loader, config)  # type: ignore[arg-type]  # Hydra has one loader
        self._config = config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, write, execute.

        Returns:
            An `Outcome` or an exit code from this project's launchers, else what Hydra's launcher returns.
        """
        plan = plan_multirun(self._composer, arguments, apart=isinstance(self._launcher, Slurm))
        if isinstance(self._launcher, Executor):
            return self._launcher.execute(plan)
        check_machine(plan.runtime)
        prepare(plan)
        self._config.hydra.sweep.dir = str(plan.root)  # which Hydra's launchers make, too
        jobs = [[*planned.job, quoted(f"hydra.sweep.dir={plan.root}")] for planned in plan.runs]
        return self._launcher.launch(jobs, initial_job_idx=0)  # Hydra's basic launcher: one single run after another


class Executor(Launcher):
    """A launcher of this project: executes a plan. Also takes the jobs of Hydra's other sweepers."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._composer = Composer(hydra_context.config_loader, config)  # type: ignore[arg-type]  # Hydra has one loader

    @abstractmethod
    def execute(self, plan: Plan) -> Outcome | int:
        """How the runs ended; the exit code where that is not waited for, and the user has been told what to type."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Hydra's own way: one override list a job, one result a job (the final test error, in percent).

        Null where the runs' end is not waited for.
        """
        plan = plan_jobs(self._composer, job_overrides)
        outcome = self.execute(plan)
        planned = zip(job_overrides, plan.by_job, strict=True)
        if isinstance(outcome, int):
            return [JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED) for overrides, _ in planned]
        found = {status.name: status for status in outcome.statuses}
        return [_job_return(list(overrides), found[run.run.path.name]) for overrides, run in planned]


class Local(Executor):
    """Worker processes on this machine.

    Args:
        workers: null for one a GPU, or as many as the processors have room for.
    """

    def __init__(self, workers: int | None) -> None:
        self._workers = convert(workers, int | None, "hydra.launcher.workers")

    def execute(self, plan: Plan) -> Outcome:
        check_machine(plan.runtime, self._workers)
        prepare(plan)
        if channel() is not None:  # the processes beside this one are the workers: each run is trained by all
            return run_inline(plan)
        return run_locally(assignments_of(plan), plan.root, self._workers)


class Slurm(Executor):
    """Arrays of Slurm jobs. The options are those of conf/hydra/launcher/slurm.yaml."""

    def __init__(self, **options: Any) -> None:
        values = OmegaConf.to_container(OmegaConf.create(options), resolve=True)
        assert isinstance(values, dict)
        self._request = Request.from_config({str(key): value for key, value in values.items()})

    def execute(self, plan: Plan) -> Outcome | int:
        configs = {planned.run.path: planned.config for planned in plan.runs}
        sender = Sender(
            plan.root,
            [planned.run for planned in plan.runs],
            self._request,
            plan.runtime.to_json(),
            lambda run: dict(flatten(configs[run.path])),
        )
        sender.check()
        if self._request.base.processes > 1 and plan.runtime.device == "cpu":  # of GPUs only the node knows
            check_team(
                plan, Member(Share(0, self._request.base.processes), 0, self._request.base.tasks, "", 0, False, "")
            )
        prepare(plan)
        remember("shell", shell_of(self._request.values))
        return sender.wait() if self._request.options.wait else sender.send()


def _job_return(overrides: list[str], status: Status) -> JobReturn:
    completed = status.state in RESULTS
    result = JobReturn(overrides=overrides, status=JobStatus.COMPLETED if completed else JobStatus.FAILED)
    failure = RunFailed(f"{status.name}: {status.state} {status.note}")
    result.return_value = status.objective if completed else failure
    return result
