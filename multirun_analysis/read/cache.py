"""Cache: what was read of a sweep's runs, as Parquet, so that the next load reads only what has changed.

In the user's cache directory (`$TAUNODE_CACHE`, else ~/.cache/taunode), never in the sweep, which may be someone
else's. A run's stamp is made of its files' inodes, times and sizes; every file is written aside and renamed, so
whatever changes a run changes its stamp. A cache that cannot be read or written is one that is not there.
"""

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from multirun_analysis.read.archived import cache
from taunode.runs.files import write_aside

if TYPE_CHECKING:
    from multirun_analysis.read.sweep import Run

VERSION = 3  # raised when rows or epochs are stored in another way
WORTH = 100  # runs; fewer are read in less time than a Parquet file is opened
MANY = 500  # pieces, which take longer to join than a table to sort
STAMPED = (".csv", ".jsonl")
Table = pd.DataFrame
Broken = list[tuple[str, str]]


def stamp(path: str) -> str:
    """What changes whenever the run in this directory does; empty if that cannot be told."""
    parts, ours = [], False
    try:
        for entry in os.scandir(path):
            name = entry.name
            if name.startswith("claim."):
                parts.append(name)  # a heartbeat changes its time, which changes nothing here
            elif name in ("run.json", "config.yaml", "done", "note.json") or (
                name.endswith(STAMPED) and not entry.is_symlink()
            ):
                ours |= name == "run.json"
                parts.append(_stat(name, entry.stat(follow_symlinks=False)))
        if not ours:
            parts.append(_stat(".hydra", os.stat(f"{path}/.hydra/config.yaml")))
    except OSError:
        return ""
    return hashlib.blake2b("|".join(sorted(parts)).encode(), digest_size=12).hexdigest()


def _stat(name: str, found: os.stat_result) -> str:
    return f"{name}:{found.st_ino}:{found.st_mtime_ns}:{found.st_size}"


class Cache:
    """Of one sweep directory."""

    def __init__(self, sweep: Path) -> None:
        name = hashlib.blake2b(os.fsencode(os.path.abspath(sweep)), digest_size=12).hexdigest()
        self.directory = cache() / f"{name}-{VERSION}"
        self.stamps: dict[str, str] = {}  # of runs, by their keys, before they were read; if they are many
        self._in_use = False
        self._readable: set[str] = set()

    def rows(self, runs: Sequence["Run"], read: Callable[["Run"], tuple[Any, bool]]) -> Iterator[tuple["Run", Any]]:
        """Each run with what `read` says of it, or once said while nothing has changed."""
        self._in_use = len(runs) >= WORTH
        if not self._in_use:
            for run in runs:
                yield run, read(run)[0]
            return
        self.stamps = {run.key: stamp(run.path) for run in runs}
        known = self._read_rows()
        stored: dict[str, tuple[str, str]] = {}
        changed = len(known) != len(runs)
        for run in runs:
            key = run.key
            now = self.stamps[key]
            if now and key in known and known[key][0] == now:
                stored[key] = known[key]
                self._readable.add(key)
                yield run, msgspec.json.decode(known[key][1])
                continue
            found, settled = read(run)
            if not isinstance(found, str):
                self._readable.add(key)
            if settled and now and (text := _faithful(found)) is not None:
                stored[key] = (now, text)
                changed = True
            yield run, found
        if changed:
            self._write_rows(stored)

    def epochs(
        self, runs: Sequence["Run"], parse: Callable[[Sequence["Run"]], tuple[Table, Broken]]
    ) -> tuple[Table, Broken]:
        """The epochs of runs that `rows` has seen: what `parse` gives, or once gave while nothing has changed.

        The column `run` is categorical, its categories the runs' names in their order, which is that of the rows.
        """
        if not self._in_use:
            return parse(runs)
        keys = [run.key for run in runs]
        table, known = self._read_epochs()
        same = {key: place for key, (place, then) in known.items() if then and then == self.stamps.get(key)}
        new = [position for position, key in enumerate(keys) if key not in same]
        parsed, broken = parse([runs[position] for position in new])
        failed = {name for name, _ in broken}

        to_new = np.full(max(len(known), 1), -1, dtype=np.int32)  # place in the cache → position in `runs`
        for position, key in enumerate(keys):
            if key in same:
                to_new[same[key]] = position
        if len(table):
            table["position"] = to_new[table["position"].to_numpy()]
        of_new = parsed.pop("run").cat.codes  # of none, where no run is new
        parsed.insert(0, "position", np.asarray(new, dtype=np.int32)[of_new])
        together = _joined(table, parsed)
        # To write all of it takes longer than to read a few runs again; a part of a sweep would lose the rest.
        if len(keys) == len(self._readable) and (len(new) >= WORTH or not known):
            stamps = ["" if run.name in failed else self.stamps[key] for run, key in zip(runs, keys, strict=True)]
            self._write_epochs(together, keys, stamps)
        together = together.copy(deep=False)
        names = pd.Index([run.name for run in runs])
        together.insert(0, "run", pd.Series(pd.Categorical.from_codes(together.pop("position"), categories=names)))
        return together, broken

    def _read_rows(self) -> dict[str, tuple[str, str]]:
        import pyarrow.parquet as parquet

        with contextlib.suppress(OSError, ValueError, KeyError):
            columns = parquet.read_table(self.directory / "rows.parquet").to_pydict()
            return dict(zip(columns["run"], zip(columns["stamp"], columns["row"], strict=True), strict=True))
        return {}

    def _write_rows(self, stored: dict[str, tuple[str, str]]) -> None:
        import pyarrow

        columns = {
            "run": list(stored),
            "stamp": [a for a, _ in stored.values()],
            "row": [b for _, b in stored.values()],
        }
        self._write("rows.parquet", pyarrow.table(columns))

    def _read_epochs(self) -> tuple[Table, dict[str, tuple[int, str]]]:
        import pyarrow.parquet as parquet

        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found = parquet.read_table(self.directory / "epochs.parquet", memory_map=True)
            about = msgspec.json.decode(found.schema.metadata[b"runs"])
            if "position" not in found.column_names:
                raise KeyError("position")
            table = found.to_pandas(
                split_blocks=True, self_destruct=True
            )  # a column at a time, most of them as they are
            return table, {key: (place, then) for place, (key, then) in enumerate(about)}
        return pd.DataFrame({"position": np.empty(0, np.int32)}), {}

    def _write_epochs(self, table: Table, keys: list[str], stamps: list[str]) -> None:
        import pyarrow

        content = pyarrow.Table.from_pandas(table, preserve_index=False)
        about = json.dumps(list(zip(keys, stamps, strict=True)))
        self._write("epochs.parquet", content.replace_schema_metadata({"runs": about}))

    def _write(self, name: str, content: Any) -> None:
        import pyarrow.parquet as parquet

        def write(file: Any) -> None:
            parquet.write_table(
                content, file, row_group_size=max(len(content), 1), compression="lz4", use_dictionary=False
            )

        with contextlib.suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True)
            write_aside(self.directory / name, write)


def _joined(table: Table, parsed: Table) -> Table:
    """The rows of both that have a position, in the order of positions.

    Few changed runs cut the table into few pieces, and joining these copies it once; sorting it would copy it twice.
    """
    if table.empty or parsed.empty:
        together = parsed if table.empty else table
        pieces = [together] if (together["position"].to_numpy() >= 0).all() else _pieces(together, parsed)
    else:
        pieces = [*_pieces(table, parsed), *_pieces(parsed, parsed)]
    pieces.sort(key=lambda piece: int(piece["position"].iloc[0]) if len(piece) else -1)
    together = pd.concat(pieces, ignore_index=True) if len(pieces) != 1 else pieces[0].reset_index(drop=True)
    positions = together["position"].to_numpy()
    if (np.diff(positions) < 0).any():
        together = together.iloc[np.argsort(positions, kind="stable")].reset_index(drop=True)
    return together


def _pieces(table: Table, parsed: Table) -> list[Table]:
    """The rows that have a position, cut where a run of `parsed` comes between, and where some have none."""
    positions = table["position"].to_numpy()
    cuts = np.unique(parsed["position"].to_numpy())
    if len(cuts) > MANY:
        return [table[positions >= 0]]
    between = np.where(positions >= 0, np.searchsorted(cuts, positions, side="right"), -1)
    bounds = [0, *(np.flatnonzero(np.diff(between)) + 1), len(table)]
    found = [table.iloc[a:b] for a, b in itertools.pairwise(bounds) if positions[a] >= 0]
    return found or [table.iloc[:0]]


def _faithful(found: Any) -> str | None:
    """As JSON, if that gives it back as it is."""
    try:
        text = msgspec.json.encode(found)
        return text.decode() if msgspec.json.decode(text) == _listed(found) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _listed(found: Any) -> Any:
    return list(found) if isinstance(found, tuple) else found
