"""The worker: claims runs one after another, and executes each in a child process of its own.

The worker has imported torch but used neither a thread of it nor a GPU, so it can fork: a crash, `exit()`, a
segmentation fault or a memory kill costs one run only. The worker itself beats the claim, hears the signals, asks
the child to write a checkpoint, and records how the child ended.
"""

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from taunode.runs import job
from taunode.runs.claim import Claim, LostClaim, take
from taunode.runs.provenance import digest, host, versions
from taunode.runs.runtime import Runtime
from taunode.runs.state import RESULTS, State
from taunode.work.allowance import Allowance
from taunode.work.assignment import Assignment
from taunode.work.child import start_child
from taunode.work.member import Channel
from taunode.work.signals import Signals

FAULTS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT})  # of the run itself


def work(
    assignments: Sequence[Assignment],
    also: frozenset[State] = frozenset(),
    terminal: TextIO | None = None,
    signals: Signals | None = None,
    channel: Channel | None = None,
    allowance: Allowance | None = None,
) -> Signals:
    """Execute every run that may be started, until none is left or a signal says stop.

    Args:
        also: states that are started for assignments that carry `newest`.
        terminal: where the one run of an inline command shows its progress, beside its log.
        channel: to the other processes that train each run together with this one.
        allowance: how many runs, and until when; any number when unsaid.

    Returns:
        The signals that were received.
    """
    import taunode.work.attempt  # noqa: F401 -- torch, once: every child is a fork of this process

    signals = signals or Signals()
    signals.install()
    allowance = allowance or Allowance()
    started = True
    while started and not signals.received:  # again: a run killed by a signal is planned once more
        started = False
        for assignment in assignments:
            if signals.received:
                break
            if not allowance.allows(assignment.run):
                continue
            try:
                claim = take_run(assignment, also, 1 if channel is None else channel.member.share.world)
            except OSError as error:  # a full disk: the run stays as it is
                print(f"{assignment.run.path}: cannot be claimed: {error}", file=sys.stderr)
                continue
            if claim is not None:
                started = True
                with allowance.taking(assignment.run):
                    run_once(claim, signals, terminal, channel)
    return signals


def take_run(assignment: Assignment, also: frozenset[State], processes: int = 1) -> Claim | None:
    runtime = assignment.runtime.resolved().to_json()
    about = {
        "host": host(),
        "versions": versions(),
        "code": digest(),
        "processes": processes,
        "runtime": runtime,
    }
    return take(assignment.run, about, assignment.runtime.lease_seconds, also, assignment.newest)


def runtime_of(claim: Claim) -> Runtime:
    """What an attempt is executed with, and its record says so: as asked, but with the bits of the first attempt."""
    runtime = Runtime(**claim.about["runtime"]).keeping_bits(claim.earlier)
    claim.about["runtime"] = runtime.to_json()
    return runtime


def run_once(claim: Claim, signals: Signals, terminal: TextIO | None, channel: Channel | None = None) -> State | None:
    """Execute a claimed run in a child process, and record how it ended.

    Args:
        channel: to the other processes that train the run together with this one.

    Returns:
        The run's state; None where it passed into other hands.
    """
    runtime = runtime_of(claim)
    member = None
    if channel is not None:
        channel.announce({"run": str(claim.run.path), "attempt": claim.attempt, "runtime": runtime.to_json()})
        member = channel.present()

    def in_child(stop: Callable[[], bool], log: TextIO, screen: TextIO | None) -> dict[str, Any]:
        from taunode.work import attempt

        files = attempt.AttemptFiles(claim)
        return attempt.execute(claim.run, claim.attempt, files, runtime, stop, log, screen, member)

    memory_kills = job.memory_kills()
    child, reading = start_child(in_child, claim.run, claim.attempt, signals.received, terminal)
    signals.child = child
    if signals.received:  # heard before the child had a number
        os.kill(child, signal.SIGTERM)
    try:
        ended = _supervise(claim, child, reading, channel)
        if ended is None:
            return claim.end(State.PLANNED, "its worker could not say for half the lease that it lives")
        told = how_it_ended(*ended, signals)
        if told["state"] is None:
            return None
        if channel is not None and told["state"] not in RESULTS:  # what another process says may explain it
            told = channel.complaint(seconds=2.0) or told
        if told["state"] == State.PLANNED:
            told |= job.why_stopped(claim.about["owner"]["slurm"], signals.received)
        if told.get("killed") and job.memory_kills() > memory_kills:
            told = {"state": State.OUT_OF_MEMORY, "end": "killed by the kernel for its memory"}
        return close(claim, told)
    except LostClaim:
        return None
    except OSError as error:
        print(f"{claim.run.path}: cannot record how attempt {claim.attempt} ended: {error}", file=sys.stderr)
        return None
    finally:
        signals.child = None
        os.close(reading)


def _supervise(claim: Claim, child: int, reading: int, channel: Channel | None) -> tuple[int, bytes] | None:
    """Wait for the child and beat its claim; a child whose fellow has failed would wait for ever, and is killed.

    Returns:
        The child's wait status and what it said; None where this process could not beat for half the lease, and
        somebody else may soon own the run. The child has been killed then.

    Raises:
        LostClaim: somebody else owns the run. The child has been killed.
    """
    lease = claim.about["lease"]
    said, beaten = b"", time.monotonic()
    while True:
        ready, _, _ = select.select([reading], [], [], min(lease / 5, 1.0))
        part = os.read(reading, 65536) if ready else b""
        said += part
        ended, status = os.waitpid(child, 0 if ready and not part else os.WNOHANG)
        if ended:
            return status, said
        if channel is not None and channel.complaint() is not None:
            os.kill(child, signal.SIGKILL)
        silent, lost = time.monotonic() - beaten, False
        with contextlib.suppress(OSError):  # a file server that is away for a moment
            lost = claim.lost()
            if not lost and lease / 6 < silent <= lease / 2:
                claim.beat()
                beaten = time.monotonic()
        if lost or silent > lease / 2:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            if lost:
                raise LostClaim(f"{claim.run.path}: attempt {claim.attempt} has lost its claim")
            return None


def how_it_ended(status: int, said: bytes, signals: Signals) -> dict[str, Any]:
    """What a child told, or what follows from its wait status: state, end, and more."""
    code = os.waitstatus_to_exitcode(status)
    if code == 0 and said:
        told: dict[str, Any] = json.loads(said)
        if told["state"] == State.PLANNED and not told.get("killed"):  # it was asked to stop, and left a checkpoint
            reason = signals.received[0].name if signals.received else "SIGTERM"
            told["end"] = "interrupted" if reason == "SIGINT" else f"stopped by {reason}"
        return told
    if code >= 0:
        return {"state": State.FAILED, "end": f"exit {code}"}
    name = signal.Signals(-code).name
    if -code in FAULTS:
        return {"state": State.FAILED, "end": f"killed by {name}"}
    if signals.received:  # the second Ctrl-C: what was saved before stays
        return {"state": State.PLANNED, "end": "interrupted"}
    return {"state": State.PLANNED, "end": f"killed by {name}", "killed": True}


def close(claim: Claim, told: dict[str, Any]) -> State:
    """Record how an attempt ended, as its execution told; returns the state the run has now."""
    state = claim.end(State(told.pop("state")), told.pop("end"), **told)
    if state in RESULTS and not claim.about["runtime"]["keep_checkpoint"]:
        for attempt in claim.run.checkpoints():
            claim.run.checkpoint(attempt).unlink(missing_ok=True)
    return state
