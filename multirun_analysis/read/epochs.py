"""Epochs: the metrics of many runs as one table, parsed in one pass a kind of header."""

import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
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


def read_epochs(runs: Sequence["Run"]) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """The whole epochs of `runs`: one row a run and epoch, and (name, reason) of the runs that cannot be read.

    A run without metrics (planned, or in its first epoch) has no rows; one without timings has NaN in their columns.
    """
    broken: list[tuple[str, str]] = []
    files: dict[int, list[Path]] = {}
    others: dict[int, Path] = {}
    for position, run in enumerate(runs):
        try:
            found = run.tables()
        except UNREADABLE as error:
            broken.append((run.name, str(error)))
            continue
        if isinstance(run, HydraRun):
            others.update((position, path) for path in found)
        else:
            files[position] = found

    def table_of(place: int) -> pd.DataFrame:
        parsed, unreadable = _read({position: paths[place] for position, paths in files.items() if paths})
        broken.extend((runs[position].name, reason) for position, reason in unreadable)
        return parsed

    table = table_of(0).merge(table_of(1), on=["position", "epoch"], how="left")
    if others:
        tables, unreadable = _read_any(others)
        broken.extend((runs[position].name, reason) for position, reason in unreadable)
        table = pd.concat([table, *tables], ignore_index=True).sort_values("position", kind="stable", ignore_index=True)
    names = pd.Index([run.name for run in runs])
    table.insert(0, "run", pd.Series(pd.Categorical.from_codes(table.pop("position"), categories=names)))
    return table, broken


def _read_any(paths: dict[int, Path]) -> tuple[list[pd.DataFrame], list[tuple[int, str]]]:
    """Tables that others wrote, one by one."""
    tables, broken = [], []
    for position, path in paths.items():
        try:
            table = read_metrics(path)
        except UNREADABLE as error:
            broken.append((position, f"{path}: {error}"))
            continue
        table.insert(0, "position", np.int32(position))
        tables.append(table)
    return tables, broken


def _read(paths: dict[int, Path]) -> tuple[pd.DataFrame, list[tuple[int, str]]]:
    """Parse files of numbers, each with a header line; the column `position` says which file a row is from.

    Files with the same header are parsed as one text: opening a parser a file costs more than the parsing.
    """
    bodies: dict[bytes, dict[int, bytes]] = defaultdict(dict)
    broken: list[tuple[int, str]] = []
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
        # The parser would fill a short row with NaN, and so hide that a file was cut.
        commas = body.count(b"\n") * header.count(b",")
        if not end or (body and not body.endswith(b"\n")) or body.count(b",") != commas:
            broken.append((position, f"{path}: not whole"))
            continue
        if body.count(b"\n") > MOST:
            broken.append((position, f"{path}: more than {MOST:,} epochs"))
            continue
        bodies[header][position] = body
    tables = []
    for header, group in bodies.items():
        try:
            tables.append(_parse(header, group))
        except (ValueError, OverflowError):  # at least one is damaged: find out which
            for position, body in group.items():
                try:
                    tables.append(_parse(header, {position: body}))
                except (ValueError, OverflowError) as error:
                    broken.append((position, f"{paths[position]}: {error}"))
    if not tables:
        return pd.DataFrame({"position": np.empty(0, np.int32), "epoch": np.empty(0, np.int64)}), broken
    table = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    return table.sort_values("position", kind="stable", ignore_index=True), broken


def _parse(header: bytes, bodies: dict[int, bytes]) -> pd.DataFrame:
    """Raises ValueError or OverflowError where something is not a number, the epochs do not rise, or the header is not
    one of unique names with `epoch`."""
    names = [plain(name) for name in header.decode().rstrip("\r").split(",")]
    if len(set(names)) < len(names) or "epoch" not in names or "position" in names:
        raise ValueError(f"header {header.decode()!r}")
    types = {name: np.int64 if name == "epoch" else np.float64 for name in names}
    text = io.BytesIO(b"".join(bodies.values()))
    table = pd.read_csv(text, header=None, names=names, dtype=types, index_col=False)
    counts = [body.count(b"\n") for body in bodies.values()]
    if len(table) != sum(counts):
        raise ValueError("empty lines")
    table.insert(0, "position", np.repeat(np.fromiter(bodies, np.int32), counts))
    same = np.diff(table["position"]) == 0
    if (same & (np.diff(table["epoch"]) <= 0)).any():
        raise ValueError("epochs that do not rise")
    return table
