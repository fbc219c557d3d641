"""Live: the page of a sweep at work, kept as new as its directories, and what changed in it since somebody looked.

Every change has a version. What a page cannot take up by itself (runs that came, a state or a metric that none had) is
a new structure, for which it is loaded again. Nothing is written.

To read a sweep of 10,000 runs again and to make its page takes seconds; the epochs of the runs that are at work are
read by themselves, so that they are there at once.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from multirun_analysis.read.cache import look
from multirun_analysis.read.epochs import read_epochs
from multirun_analysis.read.sweep import Run, Sweep, states
from multirun_analysis.report import packed
from multirun_analysis.report.detail import detail
from multirun_analysis.report.page import Page
from taunode.errors import BadInput
from taunode.runs.directory import SweepDirectory
from taunode.runs.state import State

OPEN = frozenset({State.PLANNED, State.QUEUED, State.RUNNING, State.STALLED})
AT_WORK = frozenset({State.RUNNING, State.STALLED})
PENDING = '<h2 id="figures-title">Figures</h2><p class="empty">Being drawn …</p>'
STRUCTURE = (
    "runs",
    "facets",
    "metrics",
    "left_out",
    "cells",
    "choices",
    "keys",
    "shared",
    "value",
)  # but for states' codes


class Live:
    """The report on what `load` reads, which is called again when a directory has changed."""

    def __init__(self, load: Callable[[], Sweep], value: str | None = None, where: str | None = None) -> None:
        self._load, self._value, self._where = load, value, where
        self._lock = threading.Lock()
        self._version = self._structure_since = self._page_since = 0
        self._fragments: dict[str, str] = {"figures": PENDING}
        self._fragments_since: dict[str, int] = {"figures": 0}
        self._rows: list[dict[str, Any]] = []
        self._rows_since: list[int] = []
        self._structure = ""
        self._drawn: tuple[object, str] = (None, "")
        self._seen: list[object] = []
        self._minute = 0
        self._states: tuple[str, ...] = ()
        self._take(load())

    def glance(self) -> bool:
        """Reads the epochs of the runs at work that have changed; says whether there is a new one."""
        with self._lock:
            at_work, stamps = self._at_work, self._stamps
        now = {path: look(run)[1] for path, (_, run) in at_work.items()}
        changed = [path for path in at_work if now[path] != stamps.get(path)]
        if not changed:
            return False
        table, _ = read_epochs([at_work[path][1] for path in changed])
        with self._lock:
            if at_work is not self._at_work:  # it has just been read as a whole
                return False
            version = self._version
            for position, path in enumerate(changed):
                stamps[path], run = now[path], at_work[path][0]
                own, old = table[table["run"].cat.codes == position], self._rows[run]["epochs"]
                new = {name: packed.single(own[name]) if name in own else np.full(len(own), np.nan) for name in old}
                if len(own) and not _same_epochs(old, new):
                    self._rows[run] = self._rows[run] | {"epochs": new}
                    self._rows_since[run] = self._version = version + 1
            return self._version > version

    def look(self) -> bool:
        """Reads again what has changed; says whether anything has. What is moved away stays as it was read last."""
        return self._looked() | self.glance()

    def _looked(self) -> bool:
        marks = self._marks()  # before it is read: what changes meanwhile is read again
        if marks == self._seen:
            return False
        self._seen = marks
        try:
            sweep = self._load()
        except (BadInput, OSError):
            return False
        if not sweep.runs.empty:
            self._take(sweep)
        return not sweep.runs.empty

    def draw(self) -> None:
        """The figures, which take seconds, where other runs are done than in those that are drawn."""
        page = self._page
        if page is self._drawn[0]:
            return
        done = page.runs.loc[page.runs["state"] == State.DONE, ["run", page.value]]
        now = done.to_csv() if len(done) else ""
        same, self._drawn = now == self._drawn[1], (page, now)
        if same:
            return
        figures = page.figures
        with self._lock:
            self._put(self._version + 1, {"figures": figures})

    def html(self) -> bytes:
        """The whole page, as it is now."""
        with self._lock:
            page, fragments, version = self._page, dict(self._fragments), self._page_since
        return page.html(fragments, page.data | {"live": True, "version": version})

    def changes(self, since: int) -> bytes | None:
        """As JSON what changed after a version: empty if nothing did, None if the page has to be loaded again."""
        with self._lock:
            if not self._structure_since <= since <= self._version:
                return None
            if since == self._version:
                return b""
            fragments = {name: self._fragments[name] for name, at in self._fragments_since.items() if at > since}
            changed = [run for run, at in enumerate(self._rows_since) if at > since]
            found = [
                {"run": run, **{name: value for name, value in self._rows[run].items() if name != "epochs"}}
                | {"epochs": {name: _finite(values) for name, values in self._rows[run]["epochs"].items()}}
                for run in changed
            ]
            return json.dumps({"version": self._version, "fragments": fragments, "runs": found}).encode()

    def detail(self, name: str) -> bytes | None:
        """Of a run of the sweep, as JSON; None if it has no such run."""
        with self._lock:
            path = self._paths.get(name)
        return None if path is None else json.dumps(detail(Path(path))).encode()

    def _take(self, sweep: Sweep) -> None:
        page = Page(sweep, self._value, self._where)
        fragments, data = page.fragments, page.data  # long before the lock
        rows, structure = _rows(page), _structure(data)
        paths = dict(zip(page.runs["run"], page.runs["path"].astype(str), strict=True))
        is_open, at_work = (page.runs["state"].isin([state.value for state in some]) for some in (OPEN, AT_WORK))
        at_work |= page.runs["signature"].isna()  # another program records no state
        runs = {run.path: run for _, found in sweep.sources for run in found}
        stamps = {run.path: cache.stamps.get(run.key, "") for cache, found in sweep.sources for run in found}
        place = {path: number for number, path in enumerate(page.runs["path"].astype(str))}
        with self._lock:
            version = self._version + 1
            if structure != self._structure:
                self._structure_since, self._rows_since = version, [version] * len(rows)
            else:
                for run, (old, new) in enumerate(zip(self._rows, rows, strict=True)):
                    if not _same(old, new):
                        self._rows_since[run] = version
            self._page, self._rows, self._structure, self._paths = page, rows, structure, paths
            self._at_work: dict[str, tuple[int, Run]] = {
                path: (place[path], runs[path]) for path in page.runs.loc[at_work, "path"].astype(str)
            }
            self._stamps = {path: stamps[path] for path in self._at_work}
            self._put(version, fragments)
            self._page_since = version
        self._open = page.runs.loc[is_open, "path"].astype(str).tolist()
        self._watched = sorted({*paths.values(), *(os.path.dirname(path) for path in paths.values())}) + [
            str(place) for path in sweep.directories for place in (path, SweepDirectory(path).runs)
        ]

    def _put(self, version: int, fragments: dict[str, str]) -> None:
        for name, html in fragments.items():
            if self._fragments.get(name) != html:
                self._fragments[name], self._fragments_since[name] = html, version
        self._version = version

    def _marks(self) -> list[object]:
        """What changes when the directories do: a file that is renamed changes its directory, one that grows itself.

        That an owner is silent, or what Slurm says, changes no file: states are looked at every minute.
        """
        minute = int(time.time() // 60)
        if minute != self._minute:
            self._minute, self._states = minute, tuple(states(self._page.sweep.directories, self._open))
        return [*map(_time, self._watched), *(look(run)[1] for _, run in self._at_work.values()), self._states]


def _time(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _structure(data: dict[str, Any]) -> str:
    found = {name: data[name] for name in STRUCTURE}
    found["facets"] = [[kind["key"], kind["values"], kind["codes"]] for kind in data["facets"][:-1]]
    found["states"] = data["facets"][-1]["values"]
    found["table"] = [[column["key"], column["digits"], column["listed"]] for column in data["table"]]
    return json.dumps(found)


def _rows(page: Page) -> list[dict[str, Any]]:
    """Of each run: its state's code, when it diverged, the numbers of the table, its epochs."""
    data, numbers = page.data, packed.columns(page.sweep.epochs, list(page.runs["run"]))
    ends = np.cumsum(numbers["lengths"], dtype=np.int64)
    codes, columns = data["facets"][-1]["codes"], data["table"]
    return [
        {
            "state": codes[run],
            "diverged": data["diverged"][run],
            "values": [column["values"][run] if column["values"] else None for column in columns],
            "epochs": {name: all[ends[run] - length : ends[run]] for name, all in numbers["columns"].items()},
        }
        for run, length in enumerate(numbers["lengths"])
    ]


def _same(old: dict[str, Any], new: dict[str, Any]) -> bool:
    told = all(old[name] == new[name] for name in ("state", "diverged", "values"))
    return told and _same_epochs(old["epochs"], new["epochs"])


def _same_epochs(old: dict[str, Any], new: dict[str, Any]) -> bool:
    return all(values.tobytes() == old[name].tobytes() for name, values in new.items())


def _finite(values: "np.ndarray[Any, np.dtype[np.float32]]") -> list[float | None]:
    return [value if np.isfinite(value) else None for value in values.tolist()]
