"""Records: the files of a run that say what it is and what became of it, parsed and checked in this one place.

What is wrong in any of them is one error, `Unreadable`, with the path and the field. Types are checked by msgspec (it
checks plain dictionaries against annotations in microseconds, and takes 15 ms to import).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict, TypeVar

import msgspec
from msgspec import Meta

from taunode.runs.files import LONGEST, Unreadable, read_json
from taunode.runs.state import State

FORMAT = 2  # of all records and of the command files; raised when an older taunode could misread a newer sweep
LONGEST_LEASE = 7 * 86400.0  # seconds

Count = Annotated[int, Meta(ge=0, le=2**53)]
Job = Annotated[str, Meta(pattern=r"^[0-9]{1,18}(_[0-9]{1,9})?$")]  # as Slurm prints it; it is handed to its programs
Text = Annotated[str, Meta(max_length=100_000)]
Plain = dict[str, Any]
T = TypeVar("T")


class NewerFormat(Unreadable):
    """A newer taunode wrote this: to go on could misread it, so it is listed, never executed or planned again."""


class SlurmJob(TypedDict):
    """The job that a process is part of; see `taunode.runs.job.job_here`."""

    id: Annotated[str, Meta(pattern=r"^[0-9]{1,18}$")]
    job: Job
    name: Text
    restart: Count
    errors: Text | None
    offset: Count
    user: NotRequired[Text | None]
    cluster: NotRequired[Text | None]


class Owner(TypedDict):
    """Who owns a claim; see `taunode.runs.owner.identity`."""

    host: Text
    boot: Text | None
    namespace: Text | None
    pid: Count
    started: Text | None
    slurm: SlurmJob | None


class Bits(TypedDict):
    """The settings of an attempt that change rounding: whoever goes on with the run takes them over."""

    threads: NotRequired[Annotated[int, Meta(ge=1, le=2**31)] | None]
    compile: NotRequired[bool | Literal["reduce-overhead"]]
    channels_last: NotRequired[bool]


class Attempt(TypedDict):
    """What is recorded of one try at executing a run: by its claim, and repeated in run.json once it has ended.

    Without `state` it has not ended. `checkpoints` are those it began with, as (attempt, mtime in ns); `lease` is in
    seconds; `killed`: by a signal; `progressed`: it left another checkpoint than it found; `took_over`: from whom;
    `asked`: its worker also tries runs in these states again.
    """

    attempt: Annotated[int, Meta(ge=1, le=10**6)]
    owner: Owner
    started: Text
    lease: Annotated[float, Meta(gt=0, le=LONGEST_LEASE)]
    checkpoints: list[Annotated[list[int], Meta(min_length=2, max_length=2)]]
    host: NotRequired[Plain]
    versions: NotRequired[dict[str, Text]]
    code: NotRequired[Text]
    processes: NotRequired[Count]
    runtime: NotRequired[Plain]
    took_over: NotRequired[Text]
    asked: NotRequired[list[State]]
    ended: NotRequired[Text]
    state: NotRequired[State]
    end: NotRequired[Text]
    killed: NotRequired[bool]
    progressed: NotRequired[bool]
    summary: NotRequired[Plain]


class Done(TypedDict):
    """The end of a run: which attempt's files are its own, and what came out."""

    attempt: Annotated[int, Meta(ge=1, le=10**6)]
    state: State
    summary: Plain


@dataclass
class Record:
    """`run.json`: what a run is, and what is known of its attempts.

    The claims and `done` are the truth of who owns the run and how it ended; this file repeats them, so that a
    reader of many runs opens one file each. Where they differ, `taunode.runs.state` believes the claims.

    Attributes:
        name: the directory's name when it was planned.
        signature: 32 hex digits, the hash of the scientific configuration.
        state: the state stored last.
        planned: when, ISO 8601 with time zone.
        command: the file under `commands/` that added the run, or null for a single run.
        overrides: the command line's overrides that made this run, in Hydra's words.
        facts: what planning found out: tau (label), tau_value, blocks (L), parameters, steps_per_epoch …
        runtime: the runtime settings asked for.
        attempts: one mapping an attempt: attempt, host, device, …, state, end.
        summary: the results of the attempt that `done` names.
    """

    name: Text
    signature: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    state: State
    planned: Text
    command: Annotated[str, Meta(pattern=r"^(\.\./\.\./)?commands/[A-Za-z0-9._-]+\.yaml$")] | None
    overrides: list[Text]
    facts: Plain
    runtime: Plain
    attempts: list[Attempt]
    summary: Plain

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **self.__dict__}


# What readers compute with or print as numbers.
NUMBERS = re.compile(
    r"(final|best|diverged)_.*|epochs|steps|seconds|gflop_per_second|percent_of_peak|tau_value|blocks|.*parameters|epochs_planned"
)


def read_record(path: Path | str) -> Record:
    """
    Raises:
        Missing, Unreadable, NewerFormat: it is no record of a run that this taunode can read.
    """
    record = convert(of_this_format(read_json(path), path), Record, path)
    _check_numbers(record.summary, path, "summary")
    _check_numbers(record.facts, path, "facts")
    for attempt in record.attempts:
        _check_attempt(attempt, path)
    return record


def read_attempt(path: Path | str, number: int) -> Attempt:
    """What the claim of attempt `number` says."""
    attempt = convert(read_json(path), Attempt, path)
    if attempt["attempt"] != number:
        raise Unreadable(path, f"is of attempt {attempt['attempt']}")
    _check_attempt(attempt, path)
    return attempt


def read_done(path: Path | str) -> Done:
    done = convert(read_json(path), Done, path)
    _check_numbers(done["summary"], path, "summary")
    return done


def of_this_format(value: Any, path: Path | str) -> dict[str, Any]:
    """A record whose `format` this taunode can read."""
    if not isinstance(value, dict) or type(value.get("format")) is not int:
        raise Unreadable(path, "is not a record of taunode")
    if value["format"] > FORMAT:
        written = f"was written by a newer taunode (format {value['format']}; this one reads {FORMAT})"
        raise NewerFormat(path, written)
    return value


def convert(value: Any, type_: type[T], path: Path | str) -> T:
    """A plain value as one of the types above.

    Raises:
        Unreadable: a field is missing, of another type or out of its range.
    """
    try:
        return msgspec.convert(value, type_)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Unreadable(path, str(error)) from None


def _check_attempt(attempt: Attempt, path: Path | str) -> None:
    if "runtime" in attempt:
        convert(attempt["runtime"], Bits, path)  # of the others nothing is used
    _check_numbers(attempt.get("summary", {}), path, "summary")


def _check_numbers(values: Plain, path: Path | str, name: str) -> None:
    for key, value in values.items():
        is_number = value is None or type(value) is float or (type(value) is int and value.bit_length() <= LONGEST)
        if not is_number and NUMBERS.fullmatch(key):
            raise Unreadable(path, f"{name}.{key} is not a number")


def now() -> str:
    """The time of this host, ISO 8601 with its zone."""
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")
