"""Epochs: the metrics of many runs as one table, parsed in one pass a kind of header."""

import io
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from taunode.runs.directory import RunDirectory

UNREADABLE = (OSError, ValueError, TypeError, LookupError)


def read_epochs(runs: Sequence[RunDirectory], names: Sequence[str]) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """The whole epochs of `runs`: one row a run and epoch, and (name, reason) of the runs that cannot be read.

    `names[i]` is what the column `run` says for `runs[i]`. A run without metrics (planned, or in its first epoch)
    has no rows; one without timings has NaN in their columns.
    """
    broken: list[tuple[str, str]] = []
    attempts: dict[int, int] = {}
    for position, run in enumerate(runs):
        try:
            attempt = _attempt(run)
        except UNREADABLE as error:
            broken.append((names[position], f"{type(error).__name__}: {error}"))
            continue
        if attempt is not None:
            attempts[position] = attempt

    def table_of(file: Callable[[RunDirectory, int], Path]) -> pd.DataFrame:
        parsed, unreadable = _read({position: file(runs[position], k) for position, k in attempts.items()})
        broken.extend((names[position], reason) for position, reason in unreadable)
        return parsed

    metrics = table_of(RunDirectory.metrics)
    table = metrics.merge(table_of(RunDirectory.timings), on=["position", "epoch"], how="left")
    table.insert(0, "run", pd.Series(pd.Categorical.from_codes(table.pop("position"), categories=pd.Index(names))))
    return table, broken


def _attempt(run: RunDirectory) -> int | None:
    """The attempt whose files are the run's: the one that `done` names, else the newest that has metrics."""
    files = os.listdir(run.path)
    if run.done.name in files:
        return int(json.loads(run.done.read_bytes())["attempt"])
    found = (re.fullmatch(r"metrics\.(\d+)\.csv", name) for name in files)
    return max((int(match[1]) for match in found if match), default=None)


def _read(paths: dict[int, Path]) -> tuple[pd.DataFrame, list[tuple[int, str]]]:
    """Parse files of numbers, each with a header line; the column `position` says which file a row is from.

    Files with the same header are parsed as one text: opening a parser a file costs more than the parsing.
    """
    bodies: dict[bytes, dict[int, bytes]] = defaultdict(dict)
    broken: list[tuple[int, str]] = []
    for position, path in paths.items():
        try:
            header, end, body = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            continue  # not begun
        except OSError as error:
            broken.append((position, f"{path}: {error.strerror}"))
            continue
        # The parser would fill a short row with NaN, and so hide that a file was cut.
        commas = body.count(b"\n") * header.count(b",")
        if not end or (body and not body.endswith(b"\n")) or body.count(b",") != commas:
            broken.append((position, f"{path}: not whole"))
            continue
        bodies[header][position] = body
    tables = []
    for header, group in bodies.items():
        try:
            tables.append(_parse(header, group))
        except ValueError:  # at least one is damaged: find out which
            for position, body in group.items():
                try:
                    tables.append(_parse(header, {position: body}))
                except ValueError as error:
                    broken.append((position, f"{paths[position]}: {error}"))
    if not tables:
        return pd.DataFrame({"position": np.empty(0, np.int32), "epoch": np.empty(0, np.int64)}), broken
    table = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    return table.sort_values("position", kind="stable", ignore_index=True), broken


def _parse(header: bytes, bodies: dict[int, bytes]) -> pd.DataFrame:
    """Raises ValueError where something is not a number, or the header not one of unique names with `epoch`."""
    names = header.decode().rstrip("\r").split(",")
    if len(set(names)) < len(names) or "epoch" not in names or "position" in names:
        raise ValueError(f"header {header.decode()!r}")
    types = {name: np.int64 if name == "epoch" else np.float64 for name in names}
    text = io.BytesIO(b"".join(bodies.values()))
    table = pd.read_csv(text, header=None, names=names, dtype=types, index_col=False)
    counts = [body.count(b"\n") for body in bodies.values()]
    if len(table) != sum(counts):
        raise ValueError("empty lines")
    table.insert(0, "position", np.repeat(np.fromiter(bodies, np.int32), counts))
    return table
