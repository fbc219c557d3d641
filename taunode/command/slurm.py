"""The Slurm executor: send what may be started of a sweep, say what to type next; wait for it if that is wanted."""

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from taunode import interrupt
from taunode.cluster.memory import had
from taunode.cluster.resources import Request, Resources
from taunode.cluster.submission import InSlurm, submissions
from taunode.cluster.submit import Sent, Wanted, check, submit
from taunode.command.trust import own
from taunode.errors import BadInput, plain
from taunode.plan.compose import Composer
from taunode.runs.directory import RunDirectory, SweepDirectory, sweep_of
from taunode.runs.files import Unreadable
from taunode.runs.runtime import Runtime
from taunode.runs.signature import flatten
from taunode.runs.state import BROKEN, State, may_start
from taunode.show.status import Outcome
from taunode.show.watch import Display, Watch

ACTIVE = frozenset({State.QUEUED, State.RUNNING})


@dataclass
class Choice:
    """What is to be sent of a sweep, and what is not.

    Attributes:
        queued: how many are in the queue or at work already.
        capped: ran out of memory at the cap.
        unknown: how many may be in the queue: squeue gives no answer.
        broken: what cannot be read, with the reason.
    """

    wanted: list[Wanted] = field(default_factory=list)
    queued: int = 0
    capped: list[str] = field(default_factory=list)
    unknown: int = 0
    broken: list[Unreadable] = field(default_factory=list)


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
    choice = Choice()
    sent = {run for one in slurm.submissions if not one.cancelled for run in one.runs} if slurm.silent else set()
    for run in runs:
        try:
            record, seen, state = slurm.look(run)
        except Unreadable as error:
            choice.broken.append(error)
            continue
        if state in ACTIVE:
            choice.queued += 1
            continue
        if not (may_start(state, seen.attempt) or (state in BROKEN and again(state))):
            continue
        if run.path.name in sent and state not in BROKEN:
            choice.unknown += 1
            continue
        attempt = seen.attempt or {}
        # Who comes may take it without waiting for the lease: its owner has gone, or the user has asked.
        newest = seen.attempts if attempt and ("state" not in attempt or state in BROKEN) else None
        try:
            given: Resources | None = resources(run)
            settings = Runtime.from_config(own(record.runtime) | runtime, Path.cwd())
        except BadInput as error:  # of this run alone: `Sender.check` refuses what is wrong with all of them
            choice.broken.append(error if isinstance(error, Unreadable) else Unreadable(run.path, str(error)))
            continue
        if state is State.OUT_OF_MEMORY:
            given = request.after_out_of_memory(resources(run), had(attempt))
        if given is None:
            choice.capped.append(run.path.name)
        else:
            choice.wanted.append(Wanted(run, given, settings.to_json(), newest))
    return choice


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
        BadInput: a change is none; Unreadable: what was asked the last time.
    """
    known, _ = submissions(sweep)
    launcher = known[-1].launcher if known else {}
    try:
        Request.from_config(launcher)
    except BadInput as error:
        raise Unreadable(sweep.submission(known[-1].name), str(error)) from None
    return Request.from_config({**launcher, "wait": False, **changes})


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
        refusal: BadInput | None = None
        for run in self._runs:
            try:
                resources = self._resources(run)
            except BadInput as error:
                refusal = refusal or error
                continue
            if resources not in kinds:
                kinds.append(resources)
        if refusal is not None and not kinds:
            raise refusal
        check(self.root, kinds, self._request)

    def _resources(self, run: RunDirectory) -> Resources:
        return self._request.of(self._keys(run)) if self._request.entries else self._request.base

    def choose(self, again: Callable[[State], bool] | None = None) -> Choice:
        slurm = InSlurm.of(sweep_of(self.root))
        return choose(self._runs, slurm, self._resources, self._request, self._runtime, again or self._again)

    def send(self) -> int:
        """Send what may be started and say so; returns the exit code."""
        chosen = self.choose()
        interrupt.check()
        sent = submit(self.root, chosen.wanted, self._request) if chosen.wanted else Sent()
        self._say(chosen, sent)
        if sent.refusals or chosen.broken or (chosen.capped and not sent.runs):
            return 1
        return 3 if chosen.unknown else 0

    def _say(self, chosen: Choice, sent: Sent) -> None:
        shown = shlex.quote(os.path.relpath(self.root))
        jobs = ", ".join(f"{job} ({tasks} tasks)" if tasks > 1 else job for job, tasks in sent.jobs)
        rest = [f"{chosen.queued} were queued or at work"] if chosen.queued else []
        if chosen.unknown:
            rest += [f"{chosen.unknown} were not, as they may be in the queue: squeue does not answer"]
        rest += [f"{len(chosen.capped)} ran out of memory at memory_cap"] if chosen.capped else []
        rest += [f"{sent.left} stay planned"] if sent.left else []
        print(
            f"{shown}: {sent.runs} runs submitted" + (f" as {jobs}" if jobs else "") + "".join(f", {r}" for r in rest)
        )
        for refusal in sent.refusals:
            print(plain(f"refused: {refusal}"))
        for error in chosen.broken:
            print(plain(f"left out {error}"), file=sys.stderr)
        if sent.left:
            print(f"later:  taunode-sweep resume {shown}")
        print(f"watch:  taunode-sweep status --watch {shown}")
        print(f"stop:   taunode-sweep cancel {shown}")
        print(f"table:  multirun-analysis table {shown}")

    def wait(self) -> Outcome:
        """Send, show the live table until nothing more can happen, and send again what needs more memory or was left.

        Ctrl-C ends the waiting; the jobs go on.
        """
        interrupt.check()
        watch = Watch(self.root, self._runs)
        again: Callable[[State], bool] = self._again
        try:
            with Display(watch) as refresh:
                while True:
                    chosen = self.choose(again)
                    again = State.OUT_OF_MEMORY.__eq__  # what else failed is tried once a command
                    sent = submit(self.root, chosen.wanted, self._request) if chosen.wanted else Sent()
                    for refusal in sent.refusals:
                        print(plain(f"refused: {refusal}"), flush=True)
                    watch.unknown = bool(chosen.unknown)
                    if not sent.runs and not chosen.queued:
                        break
                    watch.look()
                    while watch.states() & ACTIVE:
                        refresh()
                        time.sleep(0.05)
        except KeyboardInterrupt:
            watch.interrupted = True
        return watch.outcome()
