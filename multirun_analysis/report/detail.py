"""Detail: what a run's own page says beside its row: its attempts, the ends of its log and traceback, its probes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from multirun_analysis.read.epochs import UNREADABLE as DAMAGED
from multirun_analysis.read.probes import of_run
from multirun_analysis.read.sweep import UNREADABLE, Sweep
from multirun_analysis.report.failures import tails
from multirun_analysis.report.probed import maps
from taunode.runs.directory import RunDirectory
from taunode.runs.state import BROKEN, State

ROOM = 1_500_000  # characters of details in one page; a log's end has 2,000
FIRST = [*sorted(BROKEN), State.RUNNING, State.STALLED, State.DIVERGED]  # whose details come before the others'


def details(sweep: Sweep, runs: Sequence[str]) -> dict[int, dict[str, Any]]:
    """The details of as many runs as there is room for, by the run's place in `runs`: failed ones first."""
    rows = sweep.runs.set_index("run")[["path", "state"]]
    states, paths = (rows[name].astype("str").to_dict() for name in ("state", "path"))
    order = sorted(range(len(runs)), key=lambda place: _rank(states[runs[place]]))
    found, room = {}, ROOM
    for place in order:
        one = detail(Path(paths[runs[place]]))
        room -= sum(len(text) for _, text in one["files"]) + 200 * len(one["attempts"])
        room -= sum(len(part["levels"]) for part in one["probes"])
        if room < 0:
            break
        found[place] = one
    return dict(sorted(found.items()))


def _rank(state: str) -> int:
    return FIRST.index(State(state)) if state in FIRST else len(FIRST)


def detail(path: Path) -> dict[str, Any]:
    """What a page has of one run.

    `attempts`: what each did, as rows of text; `files`: (name, last lines) of its traceback and log; `probes`: maps.
    """
    run = RunDirectory(path)
    try:
        record, newest = run.read_record(), run.attempts()
    except UNREADABLE:  # of another program, or gone
        return {"attempts": [], "files": [], "probes": []}
    files = [(file.name, lines) for file, lines in tails(run, newest)]
    attempts = [list(_attempt(dict(attempt))) for attempt in record.attempts]
    return {"attempts": attempts, "files": files, "probes": _probes(run)}


def _probes(run: RunDirectory) -> list[dict[str, Any]]:
    try:
        return maps(of_run(run))
    except DAMAGED:  # damaged: `multirun-analysis figure probes` says how
        return []


def _attempt(attempt: dict[str, Any]) -> Iterator[str]:
    """Number, state and end, when, where, with what."""
    host = attempt.get("host") or attempt.get("owner") or {}
    ended = str(attempt.get("ended") or "")
    runtime, summary = attempt.get("runtime") or {}, attempt.get("summary") or {}
    yield str(attempt.get("attempt", ""))
    yield " – ".join(dict.fromkeys(filter(None, (str(attempt.get("state") or ""), str(attempt.get("end") or "")))))
    yield f"{_time(attempt.get('started'))} to {_time(ended)}" if ended else f"from {_time(attempt.get('started'))}"
    yield str(host.get("host") or "")
    yield ", ".join(filter(None, (str(summary.get("device") or ""), _threads(runtime.get("threads")))))
    yield str(attempt.get("code") or "")


def _time(text: object) -> str:
    return str(text or "–").replace("T", " ")[:19]


def _threads(count: object) -> str:
    return f"{count} thread{'s' * (count != 1)}" if count else ""
