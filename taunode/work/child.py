"""The child process of a worker: executes one run, prints into its log, and says through a pipe how it ended."""

import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

from taunode.orphan import die_with
from taunode.runs.directory import RunDirectory
from taunode.runs.files import open_log
from taunode.runs.state import State
from taunode.work.signals import STOPPING

Execute = Callable[[Callable[[], bool], TextIO, TextIO | None], dict[str, Any]]  # (stop, log, screen) → how it ended


def fork() -> int:
    """`os.fork`, in which no signal is lost: a new child of Python's forgets those that reach it before it is ready."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        return os.fork()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_child(
    execute: Execute, run: RunDirectory, attempt: int, received: list[signal.Signals], terminal: TextIO | None
) -> tuple[int, int]:
    """Fork a child that executes an attempt; returns its process id, and the pipe that tells how it ended."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    reading, writing = os.pipe()
    worker = os.getpid()
    child = fork()
    if child == 0:
        os.close(reading)
        _be_the_child(execute, run, attempt, received, writing, terminal, worker)
    os.close(writing)
    return child, reading


def _be_the_child(
    execute: Execute,
    run: RunDirectory,
    attempt: int,
    received: list[signal.Signals],
    writing: int,
    terminal: TextIO | None,
    worker: int,
) -> NoReturn:
    """Everything the child process does; it never returns into the worker's code.

    Args:
        received: where this process notes SIGTERM and SIGUSR2: it then writes a checkpoint and ends. Ctrl-C and a
            closed terminal reach the worker, which asks for that.
        writing: the pipe that takes what `execute` returns, as JSON.
        terminal: where the one run of an inline command shows its progress, beside its log.
        worker: its process id.
    """
    code = 1
    try:
        die_with(worker, signal.SIGKILL)  # nothing trains on without a claim
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        screen = None if terminal is None else _screen(terminal)
        try:
            log = open_log(run.log(attempt))
        except OSError as error:  # somebody has just removed the run, or the disk is full
            told = {"state": State.FAILED, "end": f"cannot begin: {error.strerror}: {run.log(attempt)}"}
        else:
            os.dup2(log, 1)
            os.dup2(log, 2)
            told = execute(lambda: bool(received), sys.stdout, screen)
        if screen is not None and told["state"] != State.DONE:
            print(f"{run.path}: {told['end']}", file=screen)
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


class _Terminal(io.FileIO):
    """A terminal that may be closed while the run goes on, or saves itself: that is no reason to fail."""

    def write(self, data: Any) -> int:
        with contextlib.suppress(OSError):
            return super().write(data) or 0
        return len(data)


def _screen(terminal: TextIO) -> TextIO:
    """A stream of this process's own to the terminal that the worker writes to."""
    return io.TextIOWrapper(io.BufferedWriter(_Terminal(os.dup(terminal.fileno()), "w")), line_buffering=True)
