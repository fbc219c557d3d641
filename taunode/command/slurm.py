"""The Slurm executor: send what may be started of a sweep, say what to type next; wait for it if that is wanted."""

import os
import shlex
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich.console import Console
from rich.live import Live

from taunode.cluster.resources import Request, Resources
from taunode.cluster.submission import InSlurm, Submission, sweep_of
from taunode.cluster.submit import Sent, Wanted, check, submit
from taunode.plan.compose import Composer
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.observe import look
from taunode.runs.runtime import Runtime
from taunode.runs.signature import flatten
from taunode.runs.state import BROKEN, State, may_start
from taunode.show.status import Outcome, Watch

ACTIVE = frozenset({State.QUEUED, State.RUNNING})


@dataclass(frozen=True)
class Choice:
    """What is to be sent of a sweep, and what is not: already in the queue or at work, or out of memory at the cap."""

    wanted: list[Wanted]
    queued: int
    capped: list[str]


def choose(
    runs: Iterable[RunDirectory],
    slurm: InSlurm,
    resources: Callable[[RunDirectory], Resources],
    request: Request,
    runtime: dict[str, Any],
    again: Callable[[State], bool],
) -> Choice:
    """The runs that may be started now.

    Args:
        resources: what a run gets unless it has run out of memory.
        runtime: settings that replace those of the runs' records.
        again: whether a broken run in this state is tried once more.
    """
    wanted, queued, capped = [], 0, []
    for run in runs:
        record, seen, state = look(run, slurm.queue, run.path.name in slurm.queued)
        queued += state in ACTIVE
        if state in ACTIVE or not (may_start(state, seen.attempt) or (state in BROKEN and again(state))):
            continue
        attempt = seen.attempt or {}
        # Who comes may take it without waiting for the lease: its owner has gone, or the user has asked.
        newest = seen.attempts if attempt and ("state" not in attempt or state in BROKEN) else None
        given: Resources | None = resources(run)
        if state is State.OUT_OF_MEMORY:
            given = request.after_out_of_memory(resources(run), _memory(attempt))
        if given is None:
            capped.append(run.path.name)
        else:
            settings = Runtime.from_config(record.runtime | runtime, Path.cwd())
            wanted.append(Wanted(run, given, settings.to_json(), newest))
    return Choice(wanted, queued, capped)


def request_of(composer: Composer) -> Request | None:
    """What a command asks of Slurm; None where another launcher was chosen.

    Raises:
        BadInput: an option of the launcher is none, or out of its range.
    """
    node = OmegaConf.to_container(composer.master.hydra.launcher, resolve=True)
    assert isinstance(node, dict)
    values = {str(key): value for key, value in node.items()}
    target = values.pop("_target_", "")
    return Request.from_config(values) if target == "hydra_plugins.taunode.Slurm" else None


def last_request(sweep: SweepDirectory, changes: dict[str, Any]) -> Request:
    """What was asked of Slurm the last time, with changes; the defaults where it never was.

    Raises:
        BadInput: a change is none.
    """
    submissions = [Submission.read(path) for path in sweep.submissions()]
    last = max(submissions, key=lambda submission: submission.time, default=None)
    return Request.from_config({**({} if last is None else last.launcher), "wait": False, **changes})


def _memory(attempt: dict[str, Any]) -> int | None:
    """What an attempt had, in MiB."""
    had = attempt["host"].get("slurm_mem_per_node")
    return None if had is None else int(had)


class Sender:
    """Sends the runs of a sweep.

    Args:
        root: the sweep directory.
        runs: of the sweep.
        keys: the flattened frozen configuration of a run.
        runtime: settings that replace those of the runs' records.
        again: whether a broken run in this state is tried once more.
    """

    def __init__(
        self,
        root: Path,
        runs: list[RunDirectory],
        request: Request,
        runtime: dict[str, Any],
        keys: Callable[[RunDirectory], dict[str, Any]] | None = None,
        again: Callable[[State], bool] = lambda state: False,
    ) -> None:
        self.root, self._runs, self._request, self._runtime, self._again = root, runs, request, runtime, again
        self._keys = keys or (lambda run: dict(flatten(run.read_config())))

    def check(self) -> None:
        """
        Raises:
            BadInput: there is no Slurm here, or it does not accept what the runs are to be given (in its words).
        """
        kinds: list[Resources] = []
        for run in self._runs:
            if (resources := self._resources(run)) not in kinds:
                kinds.append(resources)
        check(self.root, kinds, self._request)

    def _resources(self, run: RunDirectory) -> Resources:
        return self._request.of(self._keys(run))

    def choose(self, again: Callable[[State], bool] | None = None) -> Choice:
        slurm = InSlurm.of(sweep_of(self.root))
        return choose(self._runs, slurm, self._resources, self._request, self._runtime, again or self._again)

    def send(self) -> int:
        """Send what may be started and say so; returns the exit code."""
        chosen = self.choose()
        sent = submit(self.root, chosen.wanted, self._request) if chosen.wanted else Sent()
        self._say(chosen, sent)
        return 1 if sent.refusals or (chosen.capped and not sent.runs) else 0

    def _say(self, chosen: Choice, sent: Sent) -> None:
        shown = shlex.quote(os.path.relpath(self.root))
        jobs = ", ".join(f"{job} ({tasks} tasks)" if tasks > 1 else job for job, tasks in sent.jobs)
        rest = [f"{chosen.queued} were queued or at work"] if chosen.queued else []
        rest += [f"{len(chosen.capped)} ran out of memory at memory_cap"] if chosen.capped else []
        rest += [f"{sent.left} stay planned"] if sent.left else []
        print(
            f"{shown}: {sent.runs} runs submitted" + (f" as {jobs}" if jobs else "") + "".join(f", {r}" for r in rest)
        )
        for refusal in sent.refusals:
            print(f"refused: {refusal}")
        if sent.left:
            print(f"later:  taunode-sweep resume {shown}")
        print(f"watch:  taunode-sweep status --watch {shown}")
        print(f"stop:   taunode-sweep cancel {shown}")
        print(f"table:  multirun-analysis table {shown}")

    def wait(self) -> Outcome:
        """Send, show the live table until nothing more can happen, and send again what needs more memory or was left.

        Ctrl-C ends the waiting; the jobs go on.
        """
        watch, console = Watch(self.root, self._runs), Console()
        again: Callable[[State], bool] = self._again
        try:
            with Live(console=console, auto_refresh=False, transient=True) as live:
                while True:
                    chosen = self.choose(again)
                    again = State.OUT_OF_MEMORY.__eq__  # what else failed is tried once a command
                    sent = Sent()
                    if chosen.wanted:
                        sent = submit(self.root, chosen.wanted, self._request)
                    for refusal in sent.refusals:
                        print(f"refused: {refusal}", flush=True)
                    if not sent.runs and not chosen.queued:
                        break
                    self._follow(watch, live, console)
        except KeyboardInterrupt:
            watch.interrupted = True
        return watch.outcome()

    def _follow(self, watch: Watch, live: Live, console: Console) -> None:
        """Until no run is queued or at work."""
        while True:
            if watch.is_due():
                if console.is_terminal:
                    live.update(watch.table(), refresh=True)
                else:
                    watch.print_changes()
                if not watch.states() & ACTIVE:
                    return
            time.sleep(0.05)
