"""Collect: sweep directories become pandas tables, one row a run, and one row a run and epoch.

Sweeps of ours, plain Hydra multiruns, single runs, and several of them at once. A run that cannot be read is neither
fatal nor dropped: it is listed with the reason. Nothing in a run directory is executed.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Protocol

import pandas as pd
import yaml

from multirun_analysis.read.archived import directory_of
from multirun_analysis.read.cache import Cache, Flat, Found
from multirun_analysis.read.epochs import read_epochs
from multirun_analysis.read.hydra_run import HydraRun, find
from multirun_analysis.read.rows import Row, as_table, distinct, select
from multirun_analysis.read.taunode_run import OurRun
from taunode.cluster.submission import InSlurm
from taunode.errors import BadInput, plain
from taunode.paths import is_utf8
from taunode.runs.directory import RunDirectory, SweepDirectory, runs_of
from taunode.runs.files import Unreadable
from taunode.runs.note import Note, noted
from taunode.runs.observe import look
from taunode.runs.state import State
from taunode.runs.where import Where

OPEN = (State.PLANNED, State.RUNNING, State.STALLED)  # states that Slurm knows more of
# What damaged files raise on their way through YAML, JSON and the record's fields. Nothing in them is executed.
UNREADABLE = (
    BadInput,
    OSError,
    yaml.YAMLError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    OverflowError,
)


class Run(Protocol):
    """A run directory, whoever wrote it."""

    key: str  # within its sweep
    name: str  # within what is read together
    path: str

    def stamp(self, names: list[str]) -> str:
        """What changes whenever one of the files does that are read of it; `names`: what lies in its directory.

        Raises:
            OSError: one of them is not there any more.
        """

    def read(self, names: list[str] | None) -> tuple[Flat, Flat, Flat, bool]:
        """What is found of it, and whether that holds until a file changes: the flattened configuration, which other
        runs may share, what stands above it in this run, and what else its row says, all texts plain.

        Args:
            names: what lies in its directory, where that has just been listed.

        Raises:
            UNREADABLE: a file is damaged.
        """

    def tables(self) -> list[str]:
        """The files of its epochs: metrics, and timings if there are any; none while it has no epoch."""


@dataclass(repr=False)
class Sweep:
    """The runs of sweep directories.

    Attributes:
        paths: the directories and archives as they were given.
        runs: one row a run: `run` (directory name; with several sweeps `sweep/name`), `path`, `sweep`, the flattened
            configuration (`arch.depth`, `seed`, …; lists as tuples, NA where a run lacks a key), `depth` and `tau`
            (labels, ordered: depth ascending, τ descending), `state` (derived), `signature`, the facts of planning
            (`tau_value`, `blocks`, `parameters`, …), the summary (`final_test_error` in percent, `seconds`, …) and
            `attempts` (count) and `code` (digests of what they ran); where something is noted, `note` and `tags`.
            `runs.attrs["keys"]` lists the columns of the configuration.
        broken: one row a run that could not be read: `run`, `reason`.
        copies: one row a run that is left out because another one has its signature: `run`, `same_as`. Runs with one
            signature are one run, wherever they lie; the first that has a result stands for all.
    """

    paths: tuple[Path, ...]
    runs: pd.DataFrame
    broken: pd.DataFrame
    copies: pd.DataFrame = field(default_factory=lambda: _copies([]))
    sources: list[tuple[Cache, list[Run]]] = field(default_factory=list)  # a sweep each
    directories: tuple[Path, ...] = ()  # of each path, where its files are

    @property
    def path(self) -> str:
        """Where it is from, in words."""
        return ", ".join(map(str, self.paths))

    @property
    def notes(self) -> list[str]:
        """What its users have noted of the sweeps and of the runs, a line each: `seed=0-0123abcd: good #thesis`."""
        found = [
            f"{path}: {said}"
            for path, directory in zip(self.paths, self.directories, strict=True)
            if not RunDirectory(directory).record.exists() and (said := noted(directory))
        ]
        if "note" in self.runs:
            of_runs = self.runs.loc[self.runs["note"].notna(), ["run", "note", "tags"]]
            found += [f"{run}: {Note(note, tags)}" for run, note, tags in of_runs.itertuples(index=False)]
        return found

    @property
    def summary(self) -> str:
        """`sweeps/x: 24 runs, 18 done, 6 diverged; 1 could not be read`."""
        counts = self.runs["state"].value_counts()
        said = [f"{len(self.runs)} runs", *(f"{counts[state]} {state}" for state in State if state in counts)]
        lost = f"; {len(self.broken)} could not be read" if len(self.broken) else ""
        twice = f"; {len(self.copies)} more are copies of these" if len(self.copies) else ""
        return f"{self.path}: {', '.join(said)}{lost}{twice}"

    def __repr__(self) -> str:
        return f"Sweep({self.summary})"

    def _repr_html_(self) -> str:
        broken = self.broken.to_html(index=False) if len(self.broken) else ""
        return f"<p>{escape(self.summary)}</p>{broken}"

    def read_epochs(self) -> None:
        """Read the epochs now, so that `broken` has all runs that cannot be read."""
        _ = self.epochs

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row a run and epoch, read when first asked for.

        Columns: `run` (categorical), `epoch`, those of metrics.csv (errors in percent), and `seconds`,
        `images_per_second`, `peak_memory_mb` of timings.csv. The attempt is the one that `done` names, else the
        newest with metrics. Runs whose files cannot be read are added to `broken`.
        """
        chosen = set(self.runs["run"])
        tables = []
        for cache, runs in self.sources:
            table, broken = cache.epochs([run for run in runs if run.name in chosen], read_epochs)
            self.broken = pd.concat([self.broken, _broken(broken)], ignore_index=True)
            tables.append(table)
        if len(tables) == 1:
            return tables[0]
        names = pd.CategoricalDtype(self.runs["run"])
        return pd.concat([table.assign(run=table["run"].astype(names)) for table in tables], ignore_index=True)


def load(*sweep_dirs: Path | str, where: str | None = None, once: bool = True) -> Sweep:
    """Read sweep directories (ours, plain Hydra multiruns, or single runs), or archives of ours.

    Args:
        sweep_dirs: one or more.
        where: a condition on the columns of `runs`, such as `arch.depth >= 56 and state == "done"`; a key that
            only other runs have is null.
        once: of runs with one signature keep one; to compare two sweeps, all are needed.

    Raises:
        BadInput: no sweep directory; written by a newer taunode; `where` is no condition, or names an unknown key.
    """
    condition = None if where is None else Where(where)
    paths = tuple(dict.fromkeys(map(Path, sweep_dirs)))
    rows: list[Row] = []
    broken: list[tuple[str, str]] = []
    shapes: dict[tuple[tuple[str, ...], tuple[str, ...]], None] = {}  # of a row; thousands of runs have a handful
    sources = []
    directories = tuple(map(directory_of, paths))
    for path, directory in zip(paths, directories, strict=True):
        sweep, prefix = str(path), f"{path}/" if len(paths) > 1 else ""
        name = os.path.basename(os.path.abspath(path if path == directory else path.with_suffix("")))
        cache, runs = Cache(directory), _runs(directory, prefix, name)
        slurm = InSlurm.of(SweepDirectory(directory)) if path == directory else InSlurm()  # nothing archived waits
        sources.append((cache, runs))
        for run, found in cache.rows(runs, _read):
            if isinstance(found, str):
                broken.append((run.name, found))
                continue
            config, above, rest = found
            if slurm.submissions and rest["state"] in OPEN:  # no file of the run's says what is in the queue
                rest = {**rest, "state": _state(run, slurm) or rest["state"]}
            # In a row our own words win: `tau` is the label, also where the configuration's group tau is null.
            rows.append(Row(config, {**above, **rest, "run": run.name, "path": run.path, "sweep": sweep}))
            shapes[tuple(config), tuple(rest)] = None
    if condition is not None:
        rows, untold = select(rows, condition)
        broken += untold
    rows, copies = distinct(rows) if once else (rows, [])
    keys = dict.fromkeys(key for config_keys, rest_keys in shapes for key in config_keys if key not in rest_keys)
    keys = {key: None for key in keys if key not in ("run", "path", "sweep")}
    return Sweep(paths, as_table(rows, list(keys)), _broken(broken), _copies(copies), sources, directories)


def _runs(path: Path, prefix: str, own: str) -> list[Run]:
    """The runs of a directory; `own` is the name of a run that it is itself.

    Raises:
        BadInput: it holds none.
    """
    sweep = SweepDirectory(path)
    if RunDirectory(path).record.exists():
        return [OurRun(own, prefix + own, str(path))]
    if sweep.runs.is_dir():
        names = sweep.named()
        shown = _shown(names)
        runs = str(sweep.runs)
        return [OurRun(name, prefix + shown[name], f"{runs}/{name}") for name in names]
    found = {os.path.relpath(run, path): str(run) for run in find(path)}
    if not found:
        runs_of(path)  # says what is wrong with it
    shown = _shown(own if key == "." else key for key in found)
    return [HydraRun(key, prefix + shown[own if key == "." else key], run) for key, run in found.items()]


def _shown(names: Iterable[str]) -> dict[str, str]:
    """The names of run directories as they are shown, all different."""
    shown = {name: plain(name) for name in names}
    count = Counter(shown.values())
    return {name: one if count[one] == 1 else ascii(name) for name, one in shown.items()}


def _read(run: Run, names: list[str] | None) -> tuple[Found | str, bool]:
    """What is found of a run, or the reason why nothing is; and whether that holds until a file changes."""
    if not is_utf8(run.path):  # no column of a table could hold it
        return "its name is not UTF-8", False
    try:
        *found, settled = run.read(names)
    except UNREADABLE as error:
        return _reason(error), False
    return (found[0], found[1], found[2]), settled


def states(sweep_dirs: Sequence[Path], paths: Sequence[str]) -> list[str]:
    """The states of runs of these sweeps, now; empty where that cannot be read."""
    slurm = {path: InSlurm.of(SweepDirectory(path)) for path in sweep_dirs}
    found = []
    for path in map(Path, paths):
        try:
            own = slurm.get(path.parents[1]) if len(path.parts) > 2 else None
            found.append((look if own is None else own.look)(RunDirectory(path))[2].value)
        except UNREADABLE:
            found.append("")
    return found


def _state(run: Run, slurm: InSlurm) -> str | None:
    try:
        return slurm.look(RunDirectory(run.path))[2].value
    except Unreadable:  # it has just changed
        return None


def _reason(error: Exception) -> str:
    """One line for a file that could not be read."""
    match error:
        case BadInput():
            text = str(error)
        case OSError():
            text = f"{error.filename}: {error.strerror}"
        case _:
            text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def _broken(rows: Sequence[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame([(plain(run), plain(reason)) for run, reason in rows], columns=["run", "reason"], dtype="str")


def _copies(rows: Sequence[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["run", "same_as"], dtype="str")
