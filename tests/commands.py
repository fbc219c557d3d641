"""Commands as a user types them, each in a fork of one process that has imported everything: 20 ms, not 2 s.

    python tests/commands.py TRAINING [MODULE]      (what `Commands` starts)

TRAINING is `real`, or the name of a stand-in for it in tests/slurm/site/sitecustomize.py, which imports no torch.
"""

import contextlib
import gc
import importlib
import json
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SITE = ROOT / "tests" / "slurm" / "site"
PROGRAMS = {  # program → its module, whose `main` it is
    "taunode": "taunode.train",
    "taunode-sweep": "taunode.command.sweep",
    "multirun-analysis": "multirun_analysis.command",
}
# What the programs import when they need it.
LOADED = (
    *PROGRAMS.values(),
    "taunode.command.taunode",
    "taunode.command.cancel",
    "taunode.command.local",
    "taunode.command.slurm",
    "taunode.show.listing",
    "taunode.show.logs",
    "taunode.show.preview",
    "multirun_analysis.api",
    "multirun_analysis.tables",
    "multirun_analysis.report.page",
    "scipy.special",
)
WARM = (
    ("taunode-sweep", "status", "/nowhere"),
    ("taunode-sweep", "worker", "/nowhere"),
    ("multirun-analysis", "table", "/nowhere"),
)
LIMIT = 120.0  # seconds, after which a command has come to a standstill


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (−n: by signal n), what it printed, the seconds it took, those of the
    processors, with its children's."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float
    processor: float

    def __str__(self) -> str:
        return f"{' '.join(self.words)}: exit {self.code} after {self.seconds:.2f} s\n{self.out}\n{self.err}"


class Command:
    """A command at work; `pid` is also its process group's and its session's number."""

    def __init__(self, words: tuple[str, ...], place: Path, pid: int) -> None:
        self.words, self.pid, self._place = words, pid, place

    def ended(self) -> Ended | None:
        """How it ended; None while it is at work."""
        try:
            end = json.loads((self._place / "end").read_bytes())
        except FileNotFoundError:
            return None
        texts = [(self._place / name).read_bytes().decode(errors="backslashreplace") for name in ("out", "err")]
        return Ended(self.words, end["code"], *texts, end["seconds"], end["processor"])

    def wait(self) -> Ended:
        """Wait until it ends.

        Raises:
            AssertionError: it does not.
        """
        until = time.monotonic() + LIMIT
        while (ended := self.ended()) is None:
            if time.monotonic() > until:
                self.signal(signal.SIGKILL)
                raise AssertionError(f"a standstill: {' '.join(self.words)}")
            time.sleep(0.005)
        return ended

    def signal(self, number: signal.Signals, group: bool = False) -> None:
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)


class Commands:
    """Types commands; use it in a `with`.

    Args:
        folder: a directory of its own, for what the commands print.
        training: `real`, or the name of a stand-in.
        memory: bytes of address space that a command may use.
        torch: load it for a stand-in, too: planning needs it.
        environment: variables of all commands, beside this process's own.
    """

    def __init__(
        self, folder: Path, training: str = "real", memory: int | None = None, torch: bool = False, **environment: str
    ) -> None:
        self._folder, self._training, self._memory, self._count = folder, training, memory, 0
        self._torch = ["torch"] if torch else []
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TAUNODE_", "SLURM_", "COLUMNS"))}
        self.environment = {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}

    def __enter__(self) -> "Commands":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._server = subprocess.Popen(
            [sys.executable, __file__, self._training, *self._torch],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *error: object) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()  # it ends, and its children with it
        self._server.wait()

    def start(self, *words: str, cwd: Path, terminal: int | None = None, **environment: str) -> Command:
        """Start a command; `words` begin with the program's name.

        Args:
            terminal: on a terminal of so many columns.
        """
        self._count += 1
        place = self._folder / str(self._count)
        place.mkdir()
        request = {
            "words": words,
            "cwd": str(cwd),
            "place": str(place),
            "terminal": terminal,
            "memory": self._memory,
            "environment": {**self.environment, **environment},
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return Command(words, place, int(self._server.stdout.readline()))

    def type(self, *words: str, cwd: Path, terminal: int | None = None, **environment: str) -> Ended:
        """Type a command, and wait until it ends."""
        return self.start(*words, cwd=cwd, terminal=terminal, **environment).wait()


# What happens in the server


def _serve(training: str, *more: str) -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for name in (*LOADED, *more):
        importlib.import_module(name)
    from taunode.command.plugins import register

    register()
    if training == "real":
        importlib.import_module("taunode.work.attempt")
    else:
        sys.path.insert(0, str(SITE))
        getattr(importlib.import_module("sitecustomize"), training)()
    for words in WARM:  # what a command imports when it needs it
        with contextlib.suppress(SystemExit), contextlib.redirect_stderr(open(os.devnull, "w")):
            _call(words)
    gc.freeze()  # or the first collection in a fork would copy all of that
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for the commands
    for line in sys.stdin:
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(reading)
            _attend(json.loads(line), writing)
        os.close(writing)
        replies.write(os.read(reading, 100).decode() + "\n")
        replies.flush()
        os.close(reading)


def _attend(request: Mapping[str, Any], writing: int) -> None:
    """Start a command, wait for it, and write down how it ended."""
    from taunode.orphan import die_with

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    place, began, me = Path(request["place"]), time.monotonic(), os.getpid()
    die_with(os.getppid(), signal.SIGKILL)
    out, err = (os.open(place / name, os.O_WRONLY | os.O_CREAT) for name in ("out", "err"))
    ours, theirs = pty.openpty() if request["terminal"] else (-1, -1)
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.setsid()
        die_with(me, signal.SIGKILL)
        stdin = theirs if theirs >= 0 else os.open(os.devnull, os.O_RDONLY)
        streams = (stdin, theirs, theirs) if theirs >= 0 else (stdin, out, err)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        _become(request)
    os.write(writing, str(pid).encode())
    os.close(writing)
    if theirs >= 0:
        os.close(theirs)
        with contextlib.suppress(OSError):  # so ends a terminal that nobody holds any more
            while part := os.read(ours, 65536):
                os.write(out, part)
    _, status, used = os.wait4(pid, 0)
    end = {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - began,
        "processor": used.ru_utime + used.ru_stime,
    }
    (place / "end.part").write_text(json.dumps(end))
    (place / "end.part").rename(place / "end")
    os._exit(0)


def _become(request: Mapping[str, Any]) -> None:
    """Be the command, until the end of this process."""
    code: Any = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # even if the tests run in a shell's background
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        if request["terminal"]:
            os.environ.update(COLUMNS=str(request["terminal"]), TERM="xterm")
        if request["memory"]:
            resource.setrlimit(resource.RLIMIT_AS, (request["memory"], request["memory"]))
        code = _call(request["words"])
    except SystemExit as ended:
        code = ended.code
        if not isinstance(code, int | None):
            print(code, file=sys.stderr)
            code = 1
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code or 0)


def _call(words: Sequence[str]) -> None:
    sys.argv = list(words)
    if words[0] == "python":
        exec(compile(words[1], "typed", "exec"), {"__name__": "__main__"})
    else:
        importlib.import_module(PROGRAMS[words[0]]).main()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
