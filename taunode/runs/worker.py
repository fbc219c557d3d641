"""The worker: claims runs one after another, and executes each in a child process of its own.

The worker has imported torch but used neither a thread of it nor a GPU, so it can fork: a crash, `exit()`, a
segmentation fault or a memory kill costs one run only. The worker itself beats the claim, hears the signals, asks
the child to write a checkpoint, and records how the child ended.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import threading
import time
import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TextIO

from taunode.runs.claim import Claim, LostClaim, take
from taunode.runs.directory import RunDirectory, read_yaml, to_yaml, write_text
from taunode.runs.provenance import host, versions
from taunode.runs.runtime import Runtime
from taunode.runs.state import RESULTS, State

FAULTS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT})  # of the run itself
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


@dataclass
class Signals:
    """What this worker was told; passed on to the child, which then writes a checkpoint and ends.

    A second Ctrl-C does not wait for that.
    """

    received: list[signal.Signals] = field(default_factory=list)
    child: int | None = None

    def install(self) -> None:
        for number in STOPPING:
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: types.FrameType | None) -> None:
        self.received.append(signal.Signals(number))
        hard = self.received.count(signal.SIGINT) > 1
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL if hard else signal.SIGTERM)


@dataclass(frozen=True)
class Task:
    """A run to be looked at, and how to execute it.

    Attributes:
        runtime: with `threads` as the run shall have them.
        newest: the user asked to try the run again, if this is still its newest attempt.
    """

    run: RunDirectory
    runtime: Runtime
    newest: int | None = None


def work(
    tasks: Sequence[Task],
    also: frozenset[State] = frozenset(),
    terminal: TextIO | None = None,
    signals: Signals | None = None,
) -> Signals:
    """Execute every run that may be started, until none is left or a signal says stop.

    Args:
        also: states that are started for tasks that carry `newest`.
        terminal: where the one run of an inline command shows its progress, beside its log.

    Returns:
        The signals that were received.
    """
    import taunode.runs.execute  # noqa: F401 -- torch, once: every child is a fork of this process

    signals = signals or Signals()
    signals.install()
    started = True
    while started and not signals.received:  # again: a run killed by a signal is planned once more
        started = False
        for task in tasks:
            if signals.received:
                break
            claim = take_task(task, also)
            if claim is not None:
                started = True
                run_once(claim, task.runtime, signals, terminal)
    return signals


def take_task(task: Task, also: frozenset[State]) -> Claim | None:
    about = {"host": host(), "versions": versions(), "runtime": task.runtime.to_json()}
    return take(task.run, about, task.runtime.lease_seconds, also, task.newest)


def run_in_process(task: Task, also: frozenset[State]) -> State | None:
    """Claim and execute a run in this process, for notebooks and debuggers; a thread beats the claim.

    Ctrl-C writes a checkpoint and ends with KeyboardInterrupt.

    Returns:
        The run's state; None where it may not be started, or passed into other hands.
    """
    import torch

    from taunode.runs.execute import execute

    claim = take_task(task, also)
    if claim is None:
        return None
    runtime = task.runtime.keeping_bits(claim.earlier)
    write_hydra(claim.run, runtime.to_json())
    ended = threading.Event()
    heartbeat = threading.Thread(target=_beat, args=(claim, ended), daemon=True)
    heartbeat.start()
    interrupts: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number)) if main else None
    try:
        with (
            open(claim.run.log(claim.attempt), "a", encoding="utf-8", buffering=1) as log,
            torch.random.fork_rng(devices=[]),
        ):
            told = execute(claim, runtime, lambda: bool(interrupts), log, sys.stderr)
    finally:
        ended.set()
        if main:
            signal.signal(signal.SIGINT, before)
    if told["state"] is None:
        return None
    if interrupts and told["state"] == State.PLANNED:
        claim.end(State.PLANNED, "interrupted")
        raise KeyboardInterrupt
    return _close(claim, told)


def _beat(claim: Claim, ended: threading.Event) -> None:
    while not ended.wait(claim.about["lease"] / 6):
        claim.beat()


def run_once(claim: Claim, runtime: Runtime, signals: Signals, terminal: TextIO | None) -> State | None:
    """Execute a claimed run in a child process, and record how it ended.

    Returns:
        The run's state; None where it passed into other hands.
    """
    runtime = runtime.keeping_bits(claim.earlier)
    claim.about["runtime"] = runtime.to_json()
    write_hydra(claim.run, claim.about["runtime"])
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_child(claim, runtime, signals, writing, terminal)
    signals.child = child
    os.close(writing)
    if signals.received:  # heard before the child had a number
        os.kill(child, signal.SIGTERM)
    try:
        return _record(claim, signals, *_supervise(claim, child, reading))
    except LostClaim:
        return None
    except OSError as error:
        print(f"{claim.run.path}: cannot record how attempt {claim.attempt} ended: {error}", file=sys.stderr)
        return None
    finally:
        signals.child = None
        os.close(reading)


def _supervise(claim: Claim, child: int, reading: int) -> tuple[int, bytes]:
    """Wait for the child and beat its claim; returns its wait status and what it said.

    Raises:
        LostClaim: somebody else owns the run, or may: this process could not beat for half the lease. The child
            has been killed.
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
        if time.monotonic() - beaten > lease / 2 or claim.lost():
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise LostClaim(f"{claim.run.path}: attempt {claim.attempt} fell silent")
        if time.monotonic() - beaten > lease / 6:
            claim.beat()
            beaten = time.monotonic()


def _record(claim: Claim, signals: Signals, status: int, said: bytes) -> State | None:
    code = os.waitstatus_to_exitcode(status)
    if code == 0 and said:
        told = json.loads(said)
        if told["state"] is None:
            return None
        if told["state"] == State.PLANNED:  # it was asked to stop, and has left a checkpoint
            reason = signals.received[0].name if signals.received else "SIGTERM"
            told["end"] = "interrupted" if reason == "SIGINT" else f"stopped by {reason}"
        return _close(claim, told)
    if code >= 0:
        return claim.end(State.FAILED, f"exit {code}")
    name = signal.Signals(-code).name
    if -code in FAULTS:
        return claim.end(State.FAILED, f"killed by {name}")
    if signals.received:  # the second Ctrl-C: what was saved before stays
        return claim.end(State.PLANNED, "interrupted")
    return claim.end(State.PLANNED, f"killed by {name}", killed=True)


def _close(claim: Claim, told: dict[str, Any]) -> State:
    state = claim.end(State(told.pop("state")), told.pop("end"), **told)
    if state in RESULTS and not claim.about["runtime"]["keep_checkpoint"]:
        for attempt in claim.run.checkpoints():
            claim.run.checkpoint(attempt).unlink(missing_ok=True)
    return state


def _be_the_child(claim: Claim, runtime: Runtime, signals: Signals, writing: int, terminal: TextIO | None) -> NoReturn:
    """Everything the child process does; it never returns into the worker's code.

    SIGTERM and SIGUSR2 are still noted in its copy of `signals`; Ctrl-C and a closed terminal reach the worker, which
    asks for the checkpoint.
    """
    code = 1
    try:
        _die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        screen = os.fdopen(os.dup(terminal.fileno()), "w", buffering=1) if terminal is not None else None
        log = os.open(claim.run.log(claim.attempt), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.dup2(log, 1)
        os.dup2(log, 2)
        from taunode.runs.execute import execute

        told = execute(claim, runtime, lambda: bool(signals.received), sys.stdout, screen)
        if screen is not None and told["state"] != State.DONE:
            print(f"{claim.run.path}: {told['end']}", file=screen)
        os.write(writing, json.dumps(told).encode())
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _die_with_parent() -> None:
    """Let the kernel kill this process when its worker is gone, so that nothing trains on without a claim."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def write_hydra(run: RunDirectory, runtime: dict[str, Any]) -> None:
    """`.hydra/` as Hydra itself would have left it, for tools that read Hydra's directories."""
    if run.hydra.exists():
        return
    record = run.read_record()
    config = {**run.read_config(), "runtime": runtime}
    command = read_yaml(run.path / record.command) if record.command else {}
    hydra = command.get("hydra", {})
    if hydra:
        hydra["overrides"]["task"] = record.overrides
        hydra["job"]["override_dirname"] = ",".join(record.overrides)
        hydra["runtime"]["output_dir"] = str(run.path.resolve())
    run.hydra.mkdir(exist_ok=True)
    write_text(run.hydra / "config.yaml", to_yaml(config))
    write_text(run.hydra / "overrides.yaml", to_yaml(record.overrides))
    write_text(run.hydra / "hydra.yaml", to_yaml({"hydra": hydra}))
