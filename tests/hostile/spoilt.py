"""Sweeps that somebody has prepared, damaged or broken: a corpus, each a way to spoil a healthy planned sweep.

Seed 0 is the run that is spoilt; seed 1 is done, 2 and 3 are planned. What lies in `outside` is the user's own: it is
never opened, whatever a sweep's files point to.
"""

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taunode.runs.directory import RunDirectory, SweepDirectory

SECRET = "-".join(("aXk29", "TOP", "SECRET", "9qLm"))  # in no file of ours, nor in a patch of one
# Characters that steer a terminal, rich's markup, and a change of the reading direction.
STEERING = "\x1b[2J\x1b]0;owned\x07\x1b]8;;https://evil.example\x1b\\x\x1b]8;;\x1b\\ \x9b31m \u202egpj \x7f"
MARKUP = "[/data/x] [link=https://evil.example]x[/link] [bold red]y[/] [cuda:0] {{7*7}} <script>1</script>"
FAR = "a-host-far-away"


@dataclass
class Spoilt:
    """A sweep to be spoilt, and the user's own files beside it."""

    sweep: SweepDirectory
    outside: Path

    @property
    def run(self) -> RunDirectory:
        """The one to be spoilt."""
        return self.of_seed(0)

    def of_seed(self, seed: int) -> RunDirectory:
        (name,) = [name for name in os.listdir(self.sweep.runs) if name.startswith(f"seed={seed}-")]
        return self.sweep.run(name)

    def record(self, **changes: Any) -> None:
        """Change run.json of the spoilt run."""
        record = json.loads(self.run.record.read_bytes())
        self.run.record.write_text(json.dumps(record | changes))

    def facts(self, **changes: Any) -> None:
        self.record(facts=json.loads(self.run.record.read_bytes())["facts"] | changes)

    def runtime(self, **changes: Any) -> None:
        self.record(runtime=json.loads(self.run.record.read_bytes())["runtime"] | changes)

    def attempt(self, number: int = 1, **changes: Any) -> dict[str, Any]:
        """What a claim holds, of a process of another machine."""
        told: dict[str, Any] = json.loads(self.of_seed(1).claim(1).read_bytes())
        for key in ("ended", "state", "end", "progressed", "summary"):
            told.pop(key, None)
        told["owner"] |= {"host": FAR, "boot": "another", "slurm": None}
        return told | {"attempt": number} | changes

    def claim(self, number: int = 1, age: float = 1e6, **changes: Any) -> dict[str, Any]:
        """Claim the spoilt run, so many seconds ago."""
        told = self.attempt(number, **changes)
        self.write_claim(json.dumps(told), number, age)
        return told

    def write_claim(self, text: str, number: int = 1, age: float = 1e6) -> None:
        path = self.run.claim(number)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        os.utime(path, (time.time() - age, time.time() - age))

    def ended(self, state: str = "failed", **changes: Any) -> None:
        """Let one attempt at the spoilt run have ended."""
        told = self.claim(state=state, ended="2026-01-01T00:00:00+00:00", progressed=False, **{"end": "", **changes})
        self.record(state=state, attempts=[told])

    def finished(self, **summary: Any) -> None:
        """Let the spoilt run be done, with this in its summary."""
        of_another = json.loads(self.of_seed(1).claim(1).read_bytes())["summary"]
        self.ended("done", summary=of_another | summary)
        os.link(self.run.claim(1), self.run.done)
        told = json.loads(self.run.claim(1).read_bytes())
        self.record(state="done", attempts=[told], summary=told["summary"])

    def submit(self, name: str = "sent", **changes: Any) -> Path:
        """Let all runs have been sent to Slurm."""
        self.sweep.slurm.mkdir(exist_ok=True)
        path = self.sweep.submission(name)
        path.write_text(json.dumps(self.submission(name) | changes))
        return path

    def submission(self, name: str) -> dict[str, Any]:
        resources = {"time": 60, "nodes": 1, "tasks": 1, "sbatch": {}}
        return {
            "format": 1,
            "name": name,
            "runs": sorted(os.listdir(self.sweep.runs)),
            "newest": {},
            "runtime": json.loads(self.of_seed(1).record.read_bytes())["runtime"],
            "resources": resources,
            "launcher": {"time": 60},
            "runs_per_task": 1,
            "workers_per_task": 1,
            "arrays": [{"first": 0, "tasks": 4, "job": "4000"}],
            "time": "2026-01-01T00:00:00+00:00",
        }

    def replace(self, path: Path) -> Path:
        """Remove what is there, so that something else can be made in its place."""
        if path.is_dir() and not path.is_symlink():
            for inside in path.iterdir():
                self.replace(inside)
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        return path


def make_outside(folder: Path) -> None:
    """The user's own files, as they might lie about."""
    (folder / "folder").mkdir(parents=True)
    for name in ("notes.txt", "folder/config.yaml", "folder/hydra.yaml", "folder/notes.txt"):
        (folder / name).write_text(f"{SECRET} {name}\n")
    private = {"format": 1, "password": SECRET, "hydra": {"overrides": {"x": SECRET}, "job": {}, "runtime": {}}}
    (folder / "private.yaml").write_text(json.dumps(private))
    (folder / "private.json").write_text(json.dumps(private))
    for name in ("log.1.txt", "error.1.txt"):
        (folder / "folder" / name).write_text(f"{SECRET} {name}\n")
    (folder / "metrics.csv").write_text(f"epoch,test_error\n1,77.125\n{SECRET},1\n")


# The corpus

Spoil = Callable[[Spoilt], object]


@dataclass(frozen=True)
class Case:
    """One way to spoil a sweep.

    Attributes:
        listed: in manager.md's findings; the others are ours.
        whole: the sweep itself cannot be read, so nothing of it can be executed.
        waits: the spoilt run is at work elsewhere, as far as anybody can tell: nothing waits for it here.
        queue: what squeue answers.
    """

    name: str
    spoil: Spoil
    listed: bool = False
    whole: bool = False
    waits: bool = False
    queue: str = ""


CASES: list[Case] = []


def case(name: str, **about: Any) -> Callable[[Spoil], Spoil]:
    def enter(spoil: Spoil) -> Spoil:
        CASES.append(Case(name, spoil, **about))
        return spoil

    return enter


def _enter(name: str, spoil: Spoil, **about: Any) -> None:
    CASES.append(Case(name, spoil, **about))


# config.yaml

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{c}: &{c} [*{p}, *{p}, *{p}]\n" for p, c in zip("abcdefghijklmno", "bcdefghijklmnop", strict=True)
)


def _replaced(before: str, after: str) -> Spoil:
    def spoil(s: Spoilt) -> None:
        text = s.run.config.read_text()
        assert before in text
        s.run.config.write_text(text.replace(before, after))

    return spoil


def _more(text: str) -> Spoil:
    """A configuration with more at its end."""
    return lambda s: s.run.config.write_bytes(s.run.config.read_bytes() + text.encode(errors="surrogatepass"))


def _config(content: bytes) -> Spoil:
    return lambda s: s.run.config.write_bytes(content)


_enter("config: billion laughs", _more(LAUGHS), listed=True)
_enter("config: an alias of itself", _more("x: &x [*x]\n"), listed=True)
_enter("config: a Python object", _more("x: !!python/object/apply:os.system [echo hit]\n"), listed=True)
_enter("config: os.system as a target", _replaced("taunode.models.tau.", "os.system # "), listed=True)
_enter("config: a date", _more("x: 2026-01-01\n"), listed=True)
_enter("config: a binary value", _more("x: !!binary aGVsbG8=\n"))
_enter("config: a set", _more("x: !!set {a, b}\n"))
_enter("config: 100,000 levels deep", _more("x: " + "[" * 100_000 + "\n"))
_enter("config: a hexadecimal number of 5,000 digits", _more("x: 0x" + "f" * 5000 + "\n"))
_enter("config: a decimal number of 5,000 digits", _more("x: 1" + "0" * 5000 + "\n"))
_enter("config: infinities", _more("x: [.inf, -.inf, .nan]\n"))
_enter("config: control characters", _more('x: "\\e[2J\\a\\u202e"\n"\\e]0;y": 1\n'))
_enter("config: half a surrogate", _more('x: "\\ud800"\n'))
_enter("config: keys that are no text", _more("1: {2: 3, null: 4, 1.5: {true: 1}}\n"))
_enter(
    "config: keys of our columns", _more(f"run: x\npath: /etc\nsweep: y\nstate: done\nattempts: -1\ncode: {MARKUP!r}\n")
)
_enter("config: empty", _config(b""))
_enter("config: a list", _config(b"- 1\n- 2\n"))
_enter("config: no text", _config(bytes(range(256)) * 8))
_enter("config: UTF-16", _config("seed: 0\n".encode("utf-16")))
_enter("config: 31 MB", lambda s: s.run.config.write_bytes(b"".join(b"k%d: [1, 2, 3]\n" % n for n in range(1_600_000))))
_enter("config: 10 GB of nothing", lambda s: os.truncate(s.run.config, 10 * 2**30))
_enter("config: missing", lambda s: s.run.config.unlink())
_enter("config: a pipe", lambda s: os.mkfifo(s.replace(s.run.config)))
_enter("config: a directory", lambda s: s.replace(s.run.config).mkdir())
_enter("config: a link to the user's", lambda s: s.replace(s.run.config).symlink_to(s.outside / "private.yaml"))
_enter("config: seed is a word", _replaced("seed: 0", "seed: '; rm -rf ~'"))


# run.json


def _raw_record(text: str | bytes) -> Spoil:
    return lambda s: s.run.record.write_bytes(text if isinstance(text, bytes) else text.encode())


_enter("record: 200,000 levels deep", _raw_record("[" * 200_000), listed=True)
_enter(
    "record: facts 200,000 levels deep",
    lambda s: s.run.record.write_text(
        json.dumps(json.loads(s.run.record.read_bytes()) | {"facts": {"tau": "@"}}).replace(
            '"@"', "[" * 900 + "]" * 900
        )
    ),
)
_enter("record: a pipe", lambda s: os.mkfifo(s.replace(s.run.record)), listed=True)
_enter("record: a directory", lambda s: s.replace(s.run.record).mkdir(), listed=True)
_enter("record: a newer format", lambda s: s.record(format=999), listed=True)
_enter("record: an unknown state", lambda s: s.record(state="blessed"), listed=True)
_enter("record: attempts: [1]", lambda s: s.record(attempts=[1]), listed=True)
_enter("record: a link to the user's", lambda s: s.replace(s.run.record).symlink_to(s.outside / "private.json"))
_enter("record: a link to itself", lambda s: s.replace(s.run.record).symlink_to("run.json"))
_enter("record: empty", _raw_record(""))
_enter("record: no text", _raw_record(bytes(range(256))))
_enter("record: null", _raw_record("null"))
_enter("record: 10 GB of nothing", lambda s: os.truncate(s.run.record, 10 * 2**30))
_enter("record: 31 MB", lambda s: s.record(overrides=["x" * 100] * 280_000))
_enter("record: a number of 5,000 digits", lambda s: s.record(format=10**4000))
_enter("record: steering words", lambda s: s.record(name=STEERING, planned=STEERING, overrides=[STEERING, MARKUP]))
_enter("record: a command elsewhere", lambda s: s.record(command="../../../outside/private.yaml"))
_enter(
    "record: the signature of another",
    lambda s: s.record(signature=json.loads(s.of_seed(2).record.read_bytes())["signature"]),
)
_enter("record: a link to a neighbour's", lambda s: s.replace(s.run.record).symlink_to(s.of_seed(1).record))
_enter("record: steering facts", lambda s: s.facts(tau=STEERING + MARKUP, depth=STEERING, norm=MARKUP))
_enter("record: half a surrogate in a fact", lambda s: s.facts(tau="\ud800", depth="\udcff"))
_enter(
    "record: facts of our columns",
    lambda s: s.facts(run="x", path="/etc", sweep="y", state="done", signature=3, attempts="z"),
)
_enter("record: a fact that says where it is", lambda s: (s.ended(), s.facts(path=str(s.outside / "folder"))))
_enter("config: a key that says where it is", lambda s: (s.ended(), _more(f"path: {s.outside}/folder\n")(s)))
_enter("record: facts of many types", lambda s: s.facts(tau={"a": [1]}, depth=[1, {"b": None}], norm=1.5, x={"y": {}}))
_enter(
    "record: numbers beyond every float",
    lambda s: s.facts(epochs_planned=10**400, blocks=-(10**400), parameters=10**400),
)
_enter("record: negative epochs", lambda s: s.facts(epochs_planned=-5))
_enter("record: a runtime of nothing", lambda s: s.record(runtime={}))
_enter("record: a runtime of wrong types", lambda s: s.record(runtime={"device": 3, "threads": [], "data_root": {}}))
_enter("record: a runtime of wrong values", lambda s: s.runtime(device="abacus", threads=-1, lease_seconds=0))
_enter("record: an unknown runtime", lambda s: s.runtime(setup="rm -rf ~"))
_enter("record: an unset variable in the runtime", lambda s: s.runtime(data_root="$NOPE/x", cache_dir="~nobody-here/x"))
_enter("record: a device that is not there", lambda s: s.runtime(device="cuda:77"))
_enter("record: a billion threads", lambda s: s.runtime(threads=10**9, loader_workers=10**9))
_enter(
    "record: a cache among the user's files", lambda s: s.runtime(cache_dir=str(s.outside), data_root=str(s.outside))
)


# note.json


def _note(text: str) -> Spoil:
    return lambda s: (s.run.path / "note.json").write_text(text)


_enter("note: steering words", _note(json.dumps({"note": STEERING + MARKUP, "tags": ["good"]})))
_enter("note: steering tags", _note(json.dumps({"note": "", "tags": [STEERING, MARKUP]})))
_enter("note: wrong types", _note(json.dumps({"note": {"a": [1]}, "tags": "x"})))
_enter("note: a line of 1 MB", _note(json.dumps({"note": "x" * 10**6})))
_enter("note: 200,000 levels deep", _note("[" * 200_000))
_enter("note: half a surrogate", _note('{"note": "\\ud800"}'))
_enter("note: a pipe", lambda s: os.mkfifo(s.run.path / "note.json"))
_enter("note: a link to the user's", lambda s: (s.run.path / "note.json").symlink_to(s.outside / "private.json"))
_enter(
    "note: of the sweep, a link to the user's",
    lambda s: (s.sweep.path / "note.json").symlink_to(s.outside / "private.json"),
)
_enter(
    "note: of the sweep, steering words",
    lambda s: (s.sweep.path / "note.json").write_text(json.dumps({"note": STEERING + MARKUP})),
)


# command


def _command(spoil: Callable[[Spoilt, Path], object]) -> Spoil:
    """The command file that the spoilt run names, and no other run."""

    def named(s: Spoilt) -> None:
        s.record(command="../../commands/b.yaml")
        spoil(s, s.sweep.commands / "b.yaml")

    return named


_enter("command: a pipe", _command(lambda s, path: os.mkfifo(path)), listed=True)
_enter(
    "command: the user's private YAML",
    _command(lambda s, path: path.symlink_to(s.outside / "private.yaml")),
    listed=True,
)
_enter("command: billion laughs", _command(lambda s, path: path.write_text(f"format: 1\n{LAUGHS}")))
_enter("command: missing", _command(lambda s, path: None))
_enter("command: a directory", _command(lambda s, path: path.mkdir()))
_enter("command: a newer format", _command(lambda s, path: path.write_text("format: 999\n")))
_enter(
    "command: wrong types",
    _command(
        lambda s, path: path.write_text(
            "format: 1\ncommand: {a: 1}\noverrides: 3\nhydra: [1]\ntime: {}\nruns: x\ncode: []\n"
        )
    ),
)
_enter(
    "command: steering words",
    _command(
        lambda s, path: path.write_text(
            json.dumps(
                {
                    "format": 1,
                    "command": ["taunode", STEERING],
                    "directory": MARKUP,
                    "time": STEERING,
                    "runs": 1,
                    "code": {"commit": MARKUP},
                }
            )
        )
    ),
)


# Claims


@case("claim: /dev/zero as standard error", listed=True)
def _zero(s: Spoilt) -> None:
    s.claim(owner=s.attempt()["owner"] | {"slurm": slurm_job(errors="/dev/zero")})


@case("claim: the user's notes as standard error")
def _notes(s: Spoilt) -> None:
    s.claim(owner=s.attempt()["owner"] | {"slurm": slurm_job(errors=str(s.outside / "notes.txt"))})


@case("claim: a link in slurm/ as standard error")
def _link_as_errors(s: Spoilt) -> None:
    s.sweep.slurm.mkdir()
    (s.sweep.slurm / "x.err").symlink_to(s.outside / "notes.txt")
    s.claim(owner=s.attempt()["owner"] | {"slurm": slurm_job(errors=str(s.sweep.slurm.resolve() / "x.err"))})


@case("claim: a job called --user=x", listed=True)
def _user(s: Spoilt) -> None:
    s.claim(owner=s.attempt()["owner"] | {"slurm": slurm_job(job="--user=x", id="--user=x")})


def slurm_job(**changes: Any) -> dict[str, Any]:
    return {"id": "4000", "job": "4000_1", "name": "x", "restart": 0, "errors": None, "offset": 0} | changes


_enter("claim: a lease of 1e9 seconds", lambda s: s.claim(lease=1e9), listed=True)
_enter("claim: a lease of a week, at work", lambda s: s.claim(lease=604800.0, age=0), waits=True)
_enter("claim: a heartbeat in 2100", lambda s: s.claim(age=-74 * 365 * 86400.0))
_enter(
    "claim: numbers of other scripts",
    lambda s: [(s.run.path / f"claim.{n}").write_text("{}") for n in "²٣1①"],
    listed=True,
)
_enter("claim: {}", lambda s: s.write_claim("{}"), listed=True)
_enter("claim: a pipe", lambda s: os.mkfifo(s.run.claim(1)))
_enter("claim: a directory", lambda s: s.run.claim(1).mkdir())
_enter("claim: a link to the user's", lambda s: s.run.claim(1).symlink_to(s.outside / "private.json"))
_enter("claim: a link to nothing", lambda s: s.run.claim(1).symlink_to(s.outside / "new"))
_enter("claim: the 999,999th", lambda s: s.claim(999_999))
_enter("claim: the 1,000,000th", lambda s: s.write_claim("{}", 1_000_000))
_enter("claim: of another attempt", lambda s: s.write_claim(json.dumps(s.attempt(7)), 1))
_enter("claim: 200,000 levels deep", lambda s: s.write_claim("[" * 200_000))
_enter("claim: a process number beyond all", lambda s: s.claim(owner=_here(pid=2**53)))
_enter("claim: process number 0", lambda s: s.claim(owner=_here(pid=0)))
_enter(
    "claim: times that are none",
    lambda s: s.claim(started="0001-01-01T00:00:00", owner=s.attempt()["owner"] | {"slurm": slurm_job()}),
)
_enter("claim: steering words", lambda s: s.ended(end=STEERING), listed=True)
_enter("claim: markup", lambda s: s.ended(end=MARKUP), listed=True)
_enter("claim: half a surrogate", lambda s: s.ended(end="\ud800 \udcff"))
_enter(
    "claim: steering code and host",
    lambda s: s.ended(code=STEERING, host={"host": STEERING, "system": MARKUP}, versions={STEERING: MARKUP}),
)
_enter(
    "claim: at work on a steering host",
    lambda s: s.claim(owner=s.attempt()["owner"] | {"host": STEERING + MARKUP}, age=0),
    waits=True,
)
_enter("claim: an end of 90,000 letters", lambda s: s.ended(end="x " * 45_000))
_enter("claim: killed in every attempt", lambda s: s.ended("planned", killed=True, end="killed by SIGKILL"))
_enter("claim: 100,000 checkpoints", lambda s: s.claim(checkpoints=[[1, 2]] * 100_000))
_enter(
    "claim: another runtime in attempt 1",
    lambda s: s.ended(runtime={"threads": "x", "compile": [], "channels_last": 3}),
)


def _here(**changes: Any) -> dict[str, Any]:
    """An owner on this machine."""
    from taunode.runs.owner import identity

    return identity() | changes


# done

_enter("done: wrong types", lambda s: s.run.done.write_text('{"attempt": "x", "state": 3, "summary": []}'), listed=True)
_enter("done: null", lambda s: s.run.done.write_text("null"))
_enter("done: a pipe", lambda s: os.mkfifo(s.run.done))
_enter("done: a directory", lambda s: s.run.done.mkdir())
_enter("done: a link to the user's", lambda s: s.run.done.symlink_to(s.outside / "private.json"))
_enter(
    "done: of attempt 7, which is not there",
    lambda s: s.run.done.write_text(json.dumps({"attempt": 7, "state": "done", "summary": {"epochs": 1}})),
)
_enter(
    "done: a state that is no result",
    lambda s: s.run.done.write_text(json.dumps({"attempt": 1, "state": "failed", "summary": {"epochs": 1}})),
)
_enter(
    "done: an error beyond every float", lambda s: s.finished(final_test_error=10**400, epochs=10**400, seconds=10**400)
)
_enter(
    "done: not a number",
    lambda s: s.finished(final_test_error=float("nan"), seconds=float("inf"), epochs=float("-inf")),
)
_enter("done: numbers as words", lambda s: s.finished(final_test_error="0.5"))
_enter(
    "done: a summary of many types",
    lambda s: s.finished(device=STEERING, run="x", path="/etc", tau=[1], state=MARKUP, final_x={"a": []}),
)
_enter("done: half a surrogate", lambda s: s.finished(device="\ud800"))


# What an attempt writes

_enter("log: a link to the user's", lambda s: s.run.log(1).symlink_to(s.outside / "notes.txt"), listed=True)
_enter(
    "log: a link in the plain name", lambda s: (s.run.path / "log.txt").symlink_to(s.outside / "notes.txt"), listed=True
)


@case("log: a pipe", listed=True)
def _log_pipe(s: Spoilt) -> None:
    s.ended()
    os.mkfifo(s.run.log(1))


@case("log: a link to the user's, of a run that failed")
def _log_link(s: Spoilt) -> None:
    s.ended()
    s.run.log(1).symlink_to(s.outside / "notes.txt")
    s.run.error(1).symlink_to(s.outside / "notes.txt")


@case("log: steering words and markup")
def _log_steers(s: Spoilt) -> None:
    s.ended()
    s.run.log(1).write_text(f"{STEERING}\n{MARKUP}\n", encoding="utf-8")
    s.run.error(1).write_text(f"{STEERING}\n{MARKUP}\n", encoding="utf-8")


@case("log: a device")
def _log_device(s: Spoilt) -> None:
    s.ended()
    s.run.log(1).symlink_to("/dev/zero")


_enter("log: a second name of the user's file", lambda s: os.link(s.outside / "notes.txt", s.run.log(1)))
_enter(
    "log: a link for the next attempt", lambda s: (s.ended("planned"), s.run.log(2).symlink_to(s.outside / "notes.txt"))
)
_enter(".hydra: a link to the user's folder", lambda s: s.run.hydra.symlink_to(s.outside / "folder"), listed=True)
_enter(".hydra: a file", lambda s: s.run.hydra.write_text("x"))
_enter(".hydra: a link to nothing", lambda s: s.run.hydra.symlink_to(s.outside / "new"))


@case(".hydra: links inside")
def _hydra_links(s: Spoilt) -> None:
    s.run.hydra.mkdir()
    for name in ("config.yaml", "overrides.yaml"):
        (s.run.hydra / name).symlink_to(s.outside / "folder" / "notes.txt")


_enter(
    "checkpoint: a pickle", lambda s: s.run.checkpoint(1).write_bytes(b"cos\nsystem\n(S'echo hit'\ntR."), listed=True
)
_enter("checkpoint: a directory", lambda s: s.run.checkpoint(1).mkdir())
_enter("checkpoint: a link to the user's", lambda s: s.run.checkpoint(1).symlink_to(s.outside / "notes.txt"))
_enter("metrics: a pipe", lambda s: (s.ended("planned"), os.mkfifo(s.run.metrics(1))), listed=True)
_enter(
    "metrics: a link to the user's",
    lambda s: (s.ended("planned"), s.run.metrics(1).symlink_to(s.outside / "metrics.csv")),
)
_enter(
    "metrics: a link to the user's, of a run that is done",
    lambda s: (s.finished(), s.run.metrics(1).symlink_to(s.outside / "metrics.csv")),
)
_enter("metrics: a directory", lambda s: (s.ended("planned"), s.run.metrics(1).mkdir()))


def _metrics(text: str) -> Spoil:
    def spoil(s: Spoilt) -> None:
        s.ended("planned")
        s.run.metrics(1).write_text(text)
        s.run.timings(1).write_text(text)

    return spoil


_enter("metrics: 31 MB of rows", _metrics("epoch,test_error,seconds\n" + "1,2,3\n" * 5_000_000))
_enter("metrics: one row of 31 MB", _metrics("epoch,test_error,seconds\n" + "1," * 15_000_000 + "\n"))
_enter("metrics: a header of 100,000 columns", _metrics("epoch," + ",".join(map(str, range(100_000))) + "\n1\n"))
_enter("metrics: numbers beyond every float", _metrics(f"epoch,test_error,seconds\n1{'0' * 400},1e999,-1e999\n"))
_enter("metrics: zeros", _metrics("epoch,test_error,seconds\n\0\0\0,\0,\0\n"))
_enter("metrics: steering columns", _metrics(f"epoch,test_error,{STEERING},{MARKUP}\n1,2,3,4\n"))
_enter("metrics: epochs that are none", _metrics("epoch,test_error,seconds\n-1,nan,nan\nx,y,z\n1.5,,\n"))


@case("metrics: 31 MB of rows, at work", waits=True)
def _long_at_work(s: Spoilt) -> None:
    s.claim(age=0)
    s.run.metrics(1).write_text("epoch,test_error,seconds\n" + "1,2,3\n" * 5_000_000)
    s.run.timings(1).write_text("epoch,seconds\n" + "1,3\n" * 7_500_000)


@case("metrics: numbers beyond every float, at work", waits=True)
def _huge_at_work(s: Spoilt) -> None:
    s.claim(age=0)
    s.run.metrics(1).write_text(f"epoch,test_error\n1{'0' * 400},1\n")
    s.run.timings(1).write_text(f"epoch,seconds\n1,{'9' * 308}\n1,{'9' * 308}\n")


@case("asides: directories, pipes and links in their names")
def _asides(s: Spoilt) -> None:
    s.ended("planned")
    (s.run.path / ".checkpoint.1.pt.0123abcd").mkdir()
    os.mkfifo(s.run.path / ".metrics.1.csv.0123abcd")
    (s.run.path / ".model.1.safetensors.0123abcd").symlink_to(s.outside / "notes.txt")


@case("plain names: directories")
def _plain_names(s: Spoilt) -> None:
    for name in RunDirectory.linked:
        (s.run.path / name).mkdir()


@case("cancel: a pipe")
def _cancel_pipe(s: Spoilt) -> None:
    os.mkfifo(s.run.cancel(1))


# Names


def _renamed(name: bytes | str) -> Spoil:
    return lambda s: os.rename(os.fsencode(s.run.path), os.path.join(os.fsencode(s.sweep.runs), os.fsencode(name)))


def _unreadable(name: bytes | str) -> Spoil:
    def spoil(s: Spoilt) -> None:
        s.run.record.write_text("{}")
        _renamed(name)(s)

    return spoil


_enter("name: steers a terminal", _renamed(STEERING.replace("/", "_")), listed=True)
_enter("name: markup", _renamed(MARKUP.replace("/", "_")), listed=True)
_enter("name: escapes and a line break, unreadable", _unreadable("a\x1b[2J\nb\r"), listed=True)
_enter("name: not UTF-8", _renamed(b"seed=\xff\xfe-0123"))
_enter("name: not UTF-8, unreadable", _unreadable(b"seed=\xff\xfe-0123"))
_enter("name: an option", _renamed("--help"))
_enter("name: a command", _renamed("$(touch hit); `touch hit`; '\" && touch hit"))
_enter("name: 255 bytes", _renamed("x" * 255))
_enter("name: a formula", _renamed("=HYPERLINK(1)"))
_enter("name: %j in it", _renamed("%j %A \\ %%"))


# Run directories


@case("run: a link to one outside", listed=True)
def _run_outside(s: Spoilt) -> None:
    target = s.outside / "a-run"
    s.run.path.rename(target)
    (s.sweep.runs / target.name).symlink_to(target)


@case("run: a link to itself", listed=True)
def _run_loop(s: Spoilt) -> None:
    own = s.run.path
    s.replace(own).symlink_to(own.name)


@case("run: a link to a neighbour")
def _run_neighbour(s: Spoilt) -> None:
    neighbour = s.of_seed(2).path.name
    s.replace(s.run.path).symlink_to(neighbour)


_enter("run: empty", lambda s: s.replace(s.run.path).mkdir())
_enter("run: a pipe", lambda s: os.mkfifo(s.replace(s.run.path)))
_enter("run: a file", lambda s: s.replace(s.run.path).write_text("x"))


@case("run: a socket")
def _socket(s: Spoilt) -> None:
    here = os.getcwd()
    s.replace(s.run.path)
    os.chdir(s.sweep.runs)  # a socket's path has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("seed=0-socket")
    finally:
        os.chdir(here)


@case("run: 20,000 files in it")
def _crowded(s: Spoilt) -> None:
    for number in range(20_000):
        (s.run.path / f".x.{number:08x}").touch()


# The sweep


@case("sweep: runs/ is a link", whole=True)
def _runs_link(s: Spoilt) -> None:
    s.sweep.runs.rename(s.outside / "runs")
    s.sweep.runs.symlink_to(s.outside / "runs")


@case("sweep: runs/ is a link to itself", listed=True, whole=True)
def _runs_loop(s: Spoilt) -> None:
    s.replace(s.sweep.runs).symlink_to("runs")


_enter("sweep: runs/ is a file", lambda s: s.replace(s.sweep.runs).write_text("x"), whole=True)
_enter("sweep: runs/ is a pipe", lambda s: os.mkfifo(s.replace(s.sweep.runs)), whole=True)
_enter("sweep: no runs/", lambda s: s.replace(s.sweep.runs), whole=True)
_enter("sweep: no commands/", lambda s: s.replace(s.sweep.commands))
_enter("sweep: commands/ is a link", lambda s: s.replace(s.sweep.commands).symlink_to(s.outside / "folder"))
_enter("sweep: commands/ is a pipe", lambda s: os.mkfifo(s.replace(s.sweep.commands)))
_enter(
    "sweep: the lock is a link to the user's",
    lambda s: s.replace(s.sweep.commands / ".lock").symlink_to(s.outside / "notes.txt"),
)
_enter("sweep: the lock is a pipe", lambda s: os.mkfifo(s.replace(s.sweep.commands / ".lock")))
_enter(
    "sweep: the report is a link to the user's",
    lambda s: (s.sweep.path / "report.html").symlink_to(s.outside / "notes.txt"),
)
_enter("sweep: run.json beside runs/", lambda s: (s.sweep.path / "run.json").write_text("{}"), whole=True)
_enter("sweep: slurm/ is a link", lambda s: s.sweep.slurm.symlink_to(s.outside / "folder"))
_enter("sweep: slurm/ is a file", lambda s: s.sweep.slurm.write_text("x"))
_enter("sweep: slurm/ is a link to itself", lambda s: s.sweep.slurm.symlink_to("slurm"), listed=True)


# Submissions


@case("submission: a foreign job's name", listed=True, queue="777|777|RUNNING|N/A|somebody-elses|/home/x/job.sh|\n")
def _foreign_name(s: Spoilt) -> None:
    s.submit("somebody-elses")


@case("submission: a foreign job's number and comment", queue="777|777|RUNNING|N/A|x|/home/x/job.sh|taunode=sent\n")
def _foreign_number(s: Spoilt) -> None:
    s.submit(arrays=[{"first": 0, "tasks": 4, "job": "777"}])


_enter("submission: lines of shell", lambda s: s.submit(launcher={"time": 60, "setup": ["touch hit"]}), listed=True)
_enter("submission: options of sbatch", lambda s: s.submit(launcher={"time": 60, "sbatch": {"wrap": "touch hit"}}))


def _launched(**options: Any) -> Spoil:
    return lambda s: s.submit(launcher={"time": 60, **options})


_enter("submission: a partition of two lines", _launched(partition="x\ntouch hit #"))
_enter(
    "submission: a constraint of two lines in an entry",
    _launched(resources=[{"when": "seed >= 0", "constraint": "x\ntouch hit #"}]),
)
_enter("submission: a time of two lines", _launched(time="60\ntouch hit #"))
_enter("submission: gpus of two lines", _launched(gpus="1\ntouch hit #"))
_enter("submission: an unknown option", _launched(hits=["touch hit"]))
_enter(
    "submission: a condition of 100,000 signs", _launched(resources=[{"when": "-" * 100_000 + "1 > seed", "time": 5}])
)
_enter(
    "submission: wrong types",
    lambda s: s.submit(runs=3, newest=[], arrays={"a": 1}, resources=[], runtime=7),
    listed=True,
)
_enter("submission: nothing right", lambda s: s.submit().write_text("[]"))
_enter("submission: a pipe", lambda s: os.mkfifo(s.replace(s.submit())))
_enter("submission: a link to the user's", lambda s: s.replace(s.submit()).symlink_to(s.outside / "private.json"))
_enter("submission: a directory", lambda s: s.replace(s.submit()).mkdir())
_enter("submission: runs elsewhere", lambda s: s.submit(runs=["../../outside/a-run", "..", "."]))
_enter("submission: a job called --user=x", lambda s: s.submit(arrays=[{"first": 0, "tasks": 4, "job": "--user=x"}]))
_enter("submission: times that are none", lambda s: s.submit(time="0001-01-01T00:00:00"))
_enter("submission: steering words", lambda s: s.submit(refused=STEERING + MARKUP, user=STEERING, cluster=MARKUP))
_enter("submission: a newer format", lambda s: s.submit(format=999))
_enter(
    "submission: a huge place",
    lambda s: s.submit(runs_per_task=10**30, arrays=[{"first": 10**30, "tasks": 10**30, "job": "1"}]),
)


@case("submission: what its task said is a link to the user's")
def _said(s: Spoilt) -> None:
    s.submit()
    for index in range(4):
        (s.sweep.slurm / f"4000_{index}_0_log.err").symlink_to(s.outside / "notes.txt")


@case("submission: what its task said steers a terminal")
def _said_steers(s: Spoilt) -> None:
    s.submit()
    for index in range(4):
        (s.sweep.slurm / f"4000_{index}_0_log.err").write_text(STEERING + MARKUP)


@case(
    "submission: squeue prints anything",
    queue=f"{STEERING}|{MARKUP}||||||||\n|\n1|2\n9|9|RUNNING|x|sent|/|taunode=sent\n",
)
def _queue(s: Spoilt) -> None:
    s.submit()
