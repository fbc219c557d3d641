"""Cache: what was read of a sweep's runs, so that the next load reads only what has changed.

In the user's cache directory (`$TAUNODE_CACHE`, else ~/.cache/taunode), never in the sweep, which may be someone
else's. A run's stamp is made of its files' inodes, times and sizes; every file is written aside and renamed, so
whatever changes a run changes its stamp. A cache that cannot be read or written is one that is not there.

    rows.msgpack    the configurations, each once, and of each run its stamp, the number of its configuration, its own
    epochs.arrow    the columns of the epochs, the runs in their order; in its metadata their stamps and numbers of rows
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
import pandas as pd
from msgspec import Meta

from multirun_analysis.read.archived import cache
from taunode.runs.files import write_aside

if TYPE_CHECKING:
    from multirun_analysis.read.sweep import Run

VERSION = 4  # raised when rows or epochs are stored in another way
WORTH = 100  # runs; fewer are read in less time than a cache is opened
Table = pd.DataFrame
Broken = list[tuple[str, str]]
Flat = dict[str, Any]
Column = np.ndarray[Any, Any]
Found = tuple[Flat, Flat, Flat]  # a configuration that runs share, what stands above it in this one, and the rest


class _Rows(msgspec.Struct):
    """The configurations, and key → stamp, number of its configuration, and what else was found, packed."""

    configs: list[Flat]
    runs: dict[str, tuple[str, Annotated[int, Meta(ge=0)], bytes]]


_rows = msgspec.msgpack.Decoder(_Rows)
_own = msgspec.msgpack.Decoder(tuple[Flat, Flat])
_about = msgspec.json.Decoder(list[tuple[str, str, Annotated[int, Meta(ge=0)]]])  # key, stamp, number of rows


def stamp(path: str, names: list[str]) -> str:
    """What changes whenever one of these files of a directory does. A claim counts by its name: a heartbeat changes
    its time, which changes nothing here.

    Raises:
        OSError: one of them is not there.
    """
    parts = []
    for name in names:
        if not name.startswith("claim."):
            found = os.lstat(f"{path}/{name}")
            name = f"{name}:{found.st_ino}:{found.st_mtime_ns}:{found.st_size}"
        parts.append(name)
    return hashlib.blake2b(os.fsencode("|".join(parts)), digest_size=12).hexdigest()


def look(run: "Run") -> tuple[list[str] | None, str]:
    """The names in a run's directory, and its stamp; None and empty if that cannot be told."""
    try:
        names = os.listdir(run.path)
        return names, run.stamp(names)
    except OSError:
        return None, ""


class Cache:
    """Of one sweep directory."""

    def __init__(self, sweep: Path) -> None:
        name = hashlib.blake2b(os.fsencode(os.path.abspath(sweep)), digest_size=12).hexdigest()
        self.directory = cache() / f"{name}-{VERSION}"
        self.stamps: dict[str, str] = {}  # of runs, by their keys, before they were read; if they are many
        self._in_use = False
        self._readable: set[str] = set()

    def rows(
        self, runs: Sequence["Run"], read: Callable[["Run", list[str] | None], tuple[Found | str, bool]]
    ) -> Iterator[tuple["Run", Found | str]]:
        """Each run with what `read` says of it (and whether that holds until a file changes), or once said while
        nothing has changed: a configuration, which nobody may change, and its own; or why it cannot be read."""
        self._in_use = len(runs) >= WORTH
        if not self._in_use:
            for run in runs:
                yield run, read(run, None)[0]
            return
        known = self._read_rows()
        stored: dict[str, tuple[str, Flat, bytes]] = {}
        changed = len(known) != len(runs)
        for run in runs:
            names, now = look(run)
            self.stamps[run.key] = now
            then = known.get(run.key)
            if then is not None and then[0] == now != "" and (own := _unpacked(then[2])) is not None:
                found: Found | str = then[1], *own
                stored[run.key] = then
            else:
                found, settled = read(run, names)
                if settled and now and not isinstance(found, str) and (packed := _packed(found[1:])) is not None:
                    stored[run.key] = now, found[0], packed
                    changed = True
            if not isinstance(found, str):
                self._readable.add(run.key)
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
        known, columns = self._read_epochs()
        place = {(key, then): number for number, (key, then, _) in enumerate(known) if then}
        at = np.array([place.get((run.key, self.stamps[run.key]), -1) for run in runs], dtype=np.int64)
        if (np.diff(at[at >= 0]) < 0).any():  # in another order: of no use
            at[:] = -1
        is_new = at < 0
        new = [run for run, unknown in zip(runs, is_new, strict=True) if unknown]
        parsed, broken = parse(new)

        had = np.array([rows for _, _, rows in known], dtype=np.int64)
        is_kept = np.zeros(len(known), dtype=bool)
        is_kept[at[~is_new]] = True
        counts = np.empty(len(runs), dtype=np.int64)  # rows of each run
        counts[~is_new] = had[at[~is_new]]
        counts[is_new] = np.bincount(parsed.pop("run").cat.codes, minlength=len(new))
        if is_new.all():
            columns = {str(name): parsed[name].to_numpy() for name in parsed}
        elif is_new.any() or not is_kept.all():
            columns = _joined(columns, np.repeat(is_kept, had), parsed, np.repeat(is_new, counts))
        # To write all of it takes longer than to read a few runs again; a part of a sweep would lose the rest.
        if len(runs) == len(self._readable) and (len(new) >= WORTH or not known):
            failed = {name for name, _ in broken}
            stamps = ["" if run.name in failed else self.stamps[run.key] for run in runs]
            keys = [run.key for run in runs]
            self._write_epochs(list(zip(keys, stamps, counts.tolist(), strict=True)), columns)
        codes = np.repeat(np.arange(len(runs), dtype=np.int32), counts)
        names = pd.Index([run.name for run in runs])
        return Table({"run": pd.Categorical.from_codes(codes, categories=names), **columns}, copy=False), broken

    def _read_rows(self) -> dict[str, tuple[str, Flat, bytes]]:
        with contextlib.suppress(OSError, ValueError, IndexError):
            found = _rows.decode((self.directory / "rows.msgpack").read_bytes())
            return {key: (then, found.configs[number], own) for key, (then, number, own) in found.runs.items()}
        return {}

    def _write_rows(self, stored: dict[str, tuple[str, Flat, bytes]]) -> None:
        configs: dict[bytes, int] = {}
        numbers: dict[int, int] = {}  # of those that can be packed
        for config in {id(config): config for _, config, _ in stored.values()}.values():
            if (packed := _packed(config)) is not None:
                numbers[id(config)] = configs.setdefault(packed, len(configs))
        runs = {
            key: (now, numbers[id(config)], own) for key, (now, config, own) in stored.items() if id(config) in numbers
        }
        content = msgspec.msgpack.encode({"configs": list(map(msgspec.Raw, configs)), "runs": runs})
        self._write("rows.msgpack", lambda file: file.write(content))

    def _read_epochs(self) -> tuple[list[tuple[str, str, int]], dict[str, Column]]:
        import pyarrow

        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            with pyarrow.OSFile(os.fspath(self.directory / "epochs.arrow")) as file:
                found = pyarrow.ipc.open_file(file).read_all()
            known = _about.decode(found.schema.metadata[b"runs"])
            if sum(rows for _, _, rows in known) == len(found):
                return known, {name: found[name].to_numpy() for name in found.column_names}
        return [], {}

    def _write_epochs(self, known: list[tuple[str, str, int]], columns: dict[str, Column]) -> None:
        import pyarrow

        content = pyarrow.table({name: pyarrow.array(values) for name, values in columns.items()})
        content = content.replace_schema_metadata({"runs": msgspec.json.encode(known)})

        def write(file: Any) -> None:
            with pyarrow.ipc.new_file(file, content.schema) as out:
                out.write_table(content)

        self._write("epochs.arrow", write)

    def _write(self, name: str, write: Callable[[Any], object]) -> None:
        with contextlib.suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True)
            write_aside(self.directory / name, write)


def _joined(old: dict[str, Column], is_kept: Column, new: Table, is_new: Column) -> dict[str, Column]:
    """The kept rows of `old` and those of `new`, where `is_new` says so, in columns that each is copied to once."""
    columns = {}
    for name in dict.fromkeys([*old, *new]):
        whole = name in old and name in new
        column = columns[name] = np.empty(len(is_new), new[name].dtype) if whole else np.full(len(is_new), np.nan)
        if name in old:
            column[~is_new] = old[name][is_kept]
        if name in new:
            column[is_new] = new[name]
    return columns


def _packed(value: Any) -> bytes | None:
    """As MessagePack, unless it holds what does not come back from it as it was."""
    try:
        return msgspec.msgpack.encode(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _unpacked(packed: bytes) -> tuple[Flat, Flat] | None:
    try:
        return _own.decode(packed)
    except ValueError:
        return None
