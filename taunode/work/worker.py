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
from dataclasses import dataclass, field
from typing import Any, TextIO

from taunode.errors import BadInput, plain
from taunode.runs import job
from taunode.runs.claim import Claim, LostClaim, take
from taunode.runs.config import read_buildable
from taunode.runs.directory import RunDirectory
from taunode.runs.provenance import digest, host, versions
from taunode.runs.runtime import Runtime
from taunode.runs.state import RESULTS, State
from taunode.work.allowance import Allowance
from taunode.work.assignment import Assignment, startable
from taunode.work.automatic import decided
from taunode.work.child import start_child
from taunode.work.member import Channel
from taunode.work.shared_gpu import SharedGpu
from taunode.work.signals import Signals
from taunode.work.slots import PAUSE, Slots

UNKILLABLE = 10.0  # seconds until a killed child is left to the kernel
FAULTS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT})  # of the run itself


def work(
    assignments: Sequence[Assignment],
    also: frozenset[State] = frozenset(),
    terminal: TextIO | None = None,
    signals: Signals | None = None,
    channel: Channel | None = None,
    allowance: Allowance | None = None,
    slots: Slots | SharedGpu | None = None,
) -> Signals:
    """Execute every run that may be started, until none is left or a signal says stop.

    Args:
        also: states that are started for assignments that carry `newest`.
        terminal: where the one run of an inline command shows its progress, beside its log.
        channel: to the other processes that train each run together with this one.
        allowance: how many runs, and until when; any number when unsaid.
        slots: where it waits for room beside the workers of other commands.

    Returns:
        The signals that were received.
    """
    import taunode.work.attempt  # noqa: F401 -- torch, once: every child is a fork of this process

    signals = signals or Signals()
    with signals.installed():
        _take_all(assignments, also, terminal, signals, channel, allowance or Allowance(), slots)
    return signals


def _take_all(
    assignments: Sequence[Assignment],
    also: frozenset[State],
    terminal: TextIO | None,
    signals: Signals,
    channel: Channel | None,
    allowance: Allowance,
    slots: Slots | SharedGpu | None,
) -> None:
    """Walk over the assignments until none of them can be started."""
    complaints = Complaints()
    started = True
    while started and not signals.received:  # again: a run killed by a signal is planned once more
        started = False
        for assignment in assignments:
            if signals.received:
                break
            if not allowance.allows(assignment.run):
                continue
            if slots is not None and not _has_room(slots, assignment, also, signals):
                continue
            try:
                claim = take_run(assignment, also, 1 if channel is None else channel.member.share.world)
            except (BadInput, OSError) as error:  # it was tampered with or removed, or the disk is full: it stays so
                complaints.say(assignment.run, f"cannot be claimed: {error}")
            else:
                if claim is not None:
                    started = True
                    with allowance.taking(assignment.run):
                        run_once(claim, signals, terminal, channel)
            finally:
                if slots is not None:
                    slots.give_back()


def _has_room(slots: Slots | SharedGpu, assignment: Assignment, also: frozenset[State], signals: Signals) -> bool:
    """Wait until there is room for a run; false where somebody else takes it meanwhile, or a signal says stop."""
    if not startable([assignment], also):
        return False
    if slots.try_to_take():
        return True
    with slots.waiting():
        while not signals.received and startable([assignment], also):
            time.sleep(PAUSE)
            if slots.try_to_take():
                return True
    return False


@dataclass
class Complaints:
    """What is wrong with runs, said once."""

    said: set[str] = field(default_factory=set)

    def say(self, run: RunDirectory, reason: str) -> None:
        line = plain(reason if str(run.path) in reason else f"{run.path}: {reason}")
        if line not in self.said:
            self.said.add(line)
            print(line, file=sys.stderr)


def take_run(assignment: Assignment, also: frozenset[State], processes: int = 1) -> Claim | None:
    """Claim a run, if it may be started.

    Raises:
        BadInput: it cannot be read, or its frozen configuration names what taunode does not build.
        OSError: its directory cannot be written to, or has gone.
    """
    runtime = decided(assignment.runtime, read_buildable(assignment.run.config)).resolved().to_json()
    about = {
        "host": host(),
        "versions": versions(),
        "code": digest(),
        "processes": processes,
        "runtime": runtime,
        **({"asked": sorted(also)} if also else {}),
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
        ended = _Supervision(claim, child, reading, signals, channel, runtime.grace()).wait()
        if ended is None:
            return claim.end(State.PLANNED, "its worker could not say for half the lease that it lives")
        told = how_it_ended(*ended, signals)
        if told["state"] is None:
            return None
        if channel is not None and told["state"] not in RESULTS:  # what another process says may explain it
            told = channel.complaint(seconds=2.0) or told
        if told["state"] == State.PLANNED and claim.cancelled():
            told = {"state": State.CANCELLED, "end": "cancelled"}
        elif told["state"] == State.PLANNED:
            told |= job.why_stopped(claim.about["owner"]["slurm"], signals.received)
        if told.get("killed") and job.memory_kills() > memory_kills:
            told = {"state": State.OUT_OF_MEMORY, "end": "killed by the kernel for its memory"}
        return close(claim, told)
    except LostClaim:
        return None
    except OSError as error:
        print(plain(f"{claim.run.path}: cannot record how attempt {claim.attempt} ended: {error}"), file=sys.stderr)
        return None
    finally:
        signals.child = None
        os.close(reading)


@dataclass
class _Supervision:
    """Waits for the child of a claimed run: beats the claim, passes a cancellation on, and loses patience.

    Attributes:
        reading: the pipe on which the child says how it ended.
        grace: seconds that the child has for its checkpoint once it was told to stop.
    """

    claim: Claim
    child: int
    reading: int
    signals: Signals
    channel: Channel | None
    grace: float
    said: bytes = b""
    told_to_stop: float | None = None

    def wait(self) -> tuple[int, bytes] | None:
        """Until the child has ended; one whose fellow has failed would wait for ever, and is killed.

        Returns:
            The child's wait status and what it said; None where this process could not beat for half the lease, and
            somebody else may soon own the run. The child has been killed then.

        Raises:
            LostClaim: somebody else owns the run. The child has been killed.
        """
        lease = self.claim.about["lease"]
        beaten = time.monotonic()
        while (status := self._ended(min(lease / 5, 1.0))) is None:
            if self.channel is not None and self.channel.complaint() is not None:
                return self._kill(), self.said
            silent, lost, cancelled = time.monotonic() - beaten, False, False
            with contextlib.suppress(OSError):  # a file server that is away for a moment
                lost, cancelled = self.claim.lost(), self.claim.cancelled()
                if not lost and lease / 6 < silent <= lease / 2:
                    self.claim.beat()
                    beaten = time.monotonic()
            if lost or silent > lease / 2:
                self._kill()
                if lost:
                    raise LostClaim(f"{self.claim.run.path}: attempt {self.claim.attempt} has lost its claim")
                return None
            if self._is_out_of_time(cancelled):
                print(
                    plain(f"{self.claim.run.path}: killed, {self.grace:g} s after it was told to stop"), file=sys.stderr
                )
                return self._kill(), self.said
        return status, self.said

    def _is_out_of_time(self, cancelled: bool) -> bool:
        """Whether the child was told to stop (it is now, if the run has just been cancelled) and has not in time."""
        if self.told_to_stop is None:
            if not (cancelled or self.signals.received):
                return False
            self.told_to_stop = time.monotonic()
            if cancelled:
                os.kill(self.child, signal.SIGTERM)
        return time.monotonic() - self.told_to_stop > self.grace

    def _ended(self, seconds: float) -> int | None:
        """The wait status of the child, for which it waits so long."""
        ready, _, _ = select.select([self.reading], [], [], seconds)
        part = os.read(self.reading, 65536) if ready else b""
        self.said += part
        ended, status = os.waitpid(self.child, 0 if ready and not part else os.WNOHANG)
        return status if ended else None

    def _kill(self) -> int:
        """Kill the child; returns its wait status, as it will be where the kernel does not let it go (a dead file
        server): it executes nothing more, and this worker goes on without waiting for that."""
        os.kill(self.child, signal.SIGKILL)
        until = time.monotonic() + UNKILLABLE
        while time.monotonic() < until:
            ended, status = os.waitpid(self.child, os.WNOHANG)
            if ended:
                return status
            time.sleep(0.01)
        return int(signal.SIGKILL)


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
    if signals.received:  # the second Ctrl-C, or it took too long: what was saved before stays
        first = signals.received[0].name
        end = "interrupted" if first == "SIGINT" else f"stopped by {first}, and killed"
        return {"state": State.PLANNED, "end": end}
    return {"state": State.PLANNED, "end": f"killed by {name}", "killed": True}


def close(claim: Claim, told: dict[str, Any]) -> State:
    """Record how an attempt ended, as its execution told; returns the state the run has now."""
    state = claim.end(State(told.pop("state")), told.pop("end"), **told)
    if state in RESULTS and not claim.about["runtime"]["keep_checkpoint"]:
        for attempt in claim.run.checkpoints():
            claim.run.checkpoint(attempt).unlink(missing_ok=True)
    return state
