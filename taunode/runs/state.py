"""The state of a run: a pure function of what its directory (and a queue, if there is one) shows.

Stored by a worker: planned, running, done, diverged, failed, out_of_memory, timeout, preempted, cancelled.
Derived here: queued (somebody may take it, and a job of Slurm's that will is waiting), stalled (the owner's heartbeat
is older than the lease, but nothing proves that it is dead). What proves more is believed first: that the owner's
process has gone; then a heartbeat younger than half the lease; then what Slurm says of its job; then the lease. A run
whose owner is gone is planned again, or in the state that Slurm has written down when it ended the owner's job.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    PLANNED = "planned"
    QUEUED = "queued"
    RUNNING = "running"
    STALLED = "stalled"
    PREEMPTED = "preempted"
    TIMEOUT = "timeout"
    DONE = "done"
    DIVERGED = "diverged"
    FAILED = "failed"
    OUT_OF_MEMORY = "out_of_memory"
    CANCELLED = "cancelled"


RESULTS = frozenset({State.DONE, State.DIVERGED})  # divergence is a result; nothing retries it
GOES_ON = frozenset({State.PLANNED, State.PREEMPTED, State.QUEUED, State.STALLED})  # whoever comes may take it
BROKEN = frozenset({State.FAILED, State.OUT_OF_MEMORY, State.CANCELLED, State.TIMEOUT})  # `resume` goes on
SIGNALS_IN_A_ROW = 3  # attempts killed by a signal without progress, until a run counts as failed


@dataclass(frozen=True)
class Observation:
    """What a run directory, and Slurm where it has been asked, show.

    Attributes:
        attempts: number of the newest claim, 0 for none.
        attempt: that attempt's record: its claim, or run.json's copy once the attempt has ended.
        silent: seconds since the owner's last heartbeat.
        gone: the owner is provably dead.
        unemployed: Slurm has no such job any more (asked after the attempt began).
        done: the attempt whose files are the run's, if there is one, with its state and summary.
        told: the state that Slurm has written down for an attempt that could not record its own end.
        cancelled: somebody has asked for this attempt's end.
    """

    attempts: int = 0
    attempt: Mapping[str, Any] | None = None
    silent: float = 0.0
    gone: bool = False
    unemployed: bool = False
    done: Mapping[str, Any] | None = None
    told: State | None = None
    cancelled: bool = False

    @property
    def over(self) -> bool:
        """Whether an attempt that has recorded no end has had one all the same."""
        assert self.attempt is not None
        return self.gone or (self.unemployed and self.silent > self.attempt["lease"] / 2)


def derive(seen: Observation, retried: Collection[int] | None = None) -> State:
    """The state of a run.

    `retried`: a job that will take it, if it may be taken, is in Slurm's queue; also if its newest attempt is one of
    these. None: there is no such job.
    """
    if seen.done is not None:
        return State(seen.done["state"])
    if seen.attempt is None:
        state = State.PLANNED
    elif "state" in seen.attempt:
        state = State(seen.attempt["state"])
        if state in RESULTS:  # without `done` it is no result any more: the run is to be done again
            state = State.PLANNED
    elif not seen.over and seen.silent <= seen.attempt["lease"]:
        return State.RUNNING
    elif seen.cancelled:
        state = State.CANCELLED
    elif seen.told is not None:
        state = seen.told
    elif seen.over:
        state = State.PLANNED
    else:
        return State.STALLED
    waits = retried is not None and (may_start(state, seen.attempt) or seen.attempts in retried)
    return State.QUEUED if waits else state


def may_start(state: State, attempt: Mapping[str, Any] | None) -> bool:
    """Whether the same command, or any worker, goes on with a run in this state without being told."""
    if state is State.TIMEOUT:
        return bool(attempt and attempt.get("progressed"))
    return state in GOES_ON


def killed_in_a_row(attempts: Sequence[Mapping[str, Any]], checkpoints: list[list[int]]) -> int:
    """How many of the last attempts a signal ended, all of them starting from the same checkpoints."""
    count = 0
    taken_over = False  # from an owner that was only silent: nothing says that the run killed it
    for attempt in reversed(attempts):
        killed = attempt.get("killed", "state" not in attempt)  # no end written: killed with its worker
        if taken_over or not killed or attempt["checkpoints"] != checkpoints:
            break
        count += 1
        taken_over = "took_over" in attempt
    return count
