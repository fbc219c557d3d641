"""Epochs: the metrics of many runs as one table, parsed in one pass a kind of header."""

import io
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from multirun_analysis.read.hydra_run import HydraRun, read_metrics
from taunode.errors import plain
from taunode.runs.files import Missing, Unreadable, read_bytes

if TYPE_CHECKING:
    from multirun_analysis.read.sweep import Run

UNREADABLE = (Unreadable, OSError, ValueError, TypeError, LookupError, OverflowError)
MOST = 1_000_000  # epochs of a run of ours
TOGETHER = 2**23  # bytes: what is parsed at once stays in the processor's cache
PLACE = ("position", "epoch")
EMPTY = pd.DataFrame({"position": np.empty(0, np.int32), "epoch": np.empty(0, np.int64)})
Body = tuple[bytes, int]  # of a table, without its header; its lines
Broken = tuple[int, str]  # position, reason


def read_epochs(runs: Sequence["Run"]) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """The whole epochs of `runs`: one row a run and epoch, and (name, reason) of the runs that cannot be read.

    A run without metrics (planned, or in its first epoch) has no rows; one without timings has NaN in their columns.
    """
    broken: list[tuple[str, str]] = []
    metrics: dict[int, str] = {}
    timings: dict[int, str] = {}
    others: dict[int, str] = {}
    for position, run in enumerate(runs):
        try:
            found = run.tables()
        except UNREADABLE as error:
            broken.append((run.name, str(error)))
            continue
        if isinstance(run, HydraRun):
            others.update((position, path) for path in found)
        elif found:
            metrics[position], timings[position] = found

    tables = []
    for read, paths in ((_read, metrics), (_read, timings), (_read_any, others)):
        table, unreadable = read(paths)
        broken.extend((runs[position].name, reason) for position, reason in unreadable)
        tables.append(table)
    table = _beside(tables[0], tables[1])
    if others:
        table = _in_order(pd.concat([table, tables[2]], ignore_index=True))
    names = pd.Index([run.name for run in runs])
    table.insert(0, "run", pd.Series(pd.Categorical.from_codes(table.pop("position"), categories=names)))
    return table, broken


def _beside(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The columns of both, of the rows of the first."""
    same = list(PLACE) == [name for name in first if name in second]
    if same and all(np.array_equal(first[name], second[name]) for name in PLACE):
        return first.assign(**{str(name): second[name] for name in second if name not in PLACE})
    return first.merge(second, on=list(PLACE), how="left")


def _read_any(paths: dict[int, str]) -> tuple[pd.DataFrame, list[Broken]]:
    """Tables that others wrote, one by one."""
    tables, broken = [EMPTY], list[Broken]()
    for position, path in paths.items():
        try:
            table = read_metrics(path)
        except UNREADABLE as error:
            broken.append((position, f"{path}: {error}"))
            continue
        table.insert(0, "position", np.int32(position))
        tables.append(table)
    return pd.concat(tables, ignore_index=True), broken


def _read(paths: dict[int, str]) -> tuple[pd.DataFrame, list[Broken]]:
    """Parse files of numbers, each with a header line; the column `position` says which file a row is from.

    Files with the same header are parsed as one text: opening a parser a file costs more than the parsing.
    """
    tables, broken, damaged = [EMPTY], list[Broken](), list[Broken]()
    bodies: dict[bytes, dict[int, Body]] = defaultdict(dict)
    size = 0
    for position, path in paths.items():
        try:
            header, end, body = read_bytes(path).partition(b"\n")
        except Missing:
            continue  # not begun
        except Unreadable as error:
            broken.append((position, str(error)))
            continue
        if not header and not end:
            continue  # diverged, or stopped, in its first epoch
        lines = _count(body, b"\n")
        # The parser would fill a short row with NaN, and so hide that a file was cut.
        if not end or (body and not body.endswith(b"\n")) or _count(body, b",") != lines * header.count(b","):
            broken.append((position, f"{path}: not whole"))
            continue
        if lines > MOST:
            broken.append((position, f"{path}: more than {MOST:,} epochs"))
            continue
        bodies[header][position] = body, lines
        if (size := size + len(body)) > TOGETHER:
            damaged += _parse_all(bodies, paths, tables)
            size = 0
    damaged += _parse_all(bodies, paths, tables)
    table = pd.concat(tables[1:], ignore_index=True) if len(tables) > 1 else EMPTY.copy()
    return _in_order(table), broken + damaged


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    if table["position"].is_monotonic_increasing:
        return table
    return table.sort_values("position", kind="stable", ignore_index=True)


def _count(text: bytes, character: bytes) -> int:
    """As `text.count`, which takes five times as long where there are many."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord(character)))


def _parse_all(bodies: dict[bytes, dict[int, Body]], paths: dict[int, str], tables: list[pd.DataFrame]) -> list[Broken]:
    """Takes the bodies away, and adds tables of them."""
    damaged = []
    for header, group in bodies.items():
        try:
            tables.append(_parse(header, group))
        except (ValueError, OverflowError):  # at least one is damaged: find out which
            for position, body in group.items():
                try:
                    tables.append(_parse(header, {position: body}))
                except (ValueError, OverflowError) as error:
                    damaged.append((position, f"{paths[position]}: {error}"))
    bodies.clear()
    return damaged


def _parse(header: bytes, bodies: dict[int, Body]) -> pd.DataFrame:
    """Raises ValueError or OverflowError where something is not a number, the epochs do not rise, or the header is not
    one of unique names with `epoch`."""
    names = [plain(name) for name in header.decode().rstrip("\r").split(",")]
    if len(set(names)) < len(names) or "epoch" not in names or "position" in names:
        raise ValueError(f"header {header.decode()!r}")
    types = {name: np.int64 if name == "epoch" else np.float64 for name in names}
    text = io.BytesIO(b"".join(body for body, _ in bodies.values()))
    table = pd.read_csv(text, header=None, names=names, dtype=types, index_col=False, low_memory=False)
    counts = [lines for _, lines in bodies.values()]
    if len(table) != sum(counts):
        raise ValueError("empty lines")
    table.insert(0, "position", np.repeat(np.fromiter(bodies, np.int32), counts))
    same = np.diff(table["position"]) == 0
    if (same & (np.diff(table["epoch"]) <= 0)).any():
        raise ValueError("epochs that do not rise")
    return table
