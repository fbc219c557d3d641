"""The real command at a terminal: Ctrl-C, a closed window, nohup."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from harness import TINY, execute, wait_until

from taunode.runs.directory import RunDirectory
from taunode.runs.observe import look
from taunode.runs.state import State

COMMAND = [
    sys.executable,
    "-m",
    "taunode.train",
    *TINY,
    "schedule.epochs=300",
    "runtime.device=cpu",
    "runtime.threads=1",
]


def has_begun(run: RunDirectory) -> bool:
    return run.metrics(1).exists() and run.metrics(1).stat().st_size > 0


def ends(run: RunDirectory) -> list[str]:
    return [attempt["end"] for attempt in json.loads(run.record.read_bytes())["attempts"]]


def test_ctrl_c_saves_the_run_and_exits_with_130(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    with open(tmp_path / "output", "w+") as output:
        command = subprocess.Popen(
            [*COMMAND, f"hydra.run.dir={run.path}"],
            stderr=output,
            stdout=output,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background job ignores it
        )
        wait_until(lambda: command.poll() is not None or has_begun(run))
        os.killpg(command.pid, signal.SIGINT)  # as a terminal does: to the worker and to its child
        assert command.wait() == 130
    assert look(run)[2] is State.PLANNED
    assert ends(run) == ["interrupted"]
    assert run.checkpoints() == [1]
    assert "Traceback" not in (tmp_path / "output").read_text()


def test_a_closed_terminal_saves_the_run(tmp_path: Path) -> None:
    """The progress bar has nowhere to be drawn any more, which must not make the run fail."""
    run = RunDirectory(tmp_path / "run")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [*COMMAND, f"hydra.run.dir={run.path}"])
    wait_until(lambda: has_begun(run))
    os.close(terminal)
    os.waitpid(pid, 0)
    assert look(run)[2] is State.PLANNED
    assert ends(run) == ["stopped by SIGHUP"]
    assert run.checkpoints() == [1]


def _nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_under_nohup_a_closed_terminal_is_nothing(long_run: RunDirectory) -> None:
    worker = execute([long_run], fault=_nohup, checkpoint_seconds=1000.0)
    wait_until(lambda: has_begun(long_run), worker)
    os.kill(worker.pid, signal.SIGHUP)
    worker.join()
    assert look(long_run)[2] is State.DONE
    assert ends(long_run) == ["finished"]
