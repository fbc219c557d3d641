"""Archive: write a sweep, or a run, into one file; see `taunode.runs.manifest`."""

import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory
from taunode.runs.files import Unreadable, open_regular
from taunode.runs.manifest import FORMAT, NAME, PLAIN, Entry, Manifest, is_bomb, part_of, run_of, why_no_name

CHUNK = 2**20  # bytes read at a time
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file knows
DENSE = (".safetensors", ".pt", ".parquet", ".png", ".pdf", ".zip", ".gz")  # would not become smaller
_aside = re.compile(r"\..+\.[0-9a-f]{8}")  # of a writer that was killed; see `taunode.runs.files.aside`


@dataclass(frozen=True)
class Found:
    """What a directory holds for an archive.

    Attributes:
        files: by their names in the archive, sorted: size in bytes, and what changes when a file does.
        apart: what is no regular file, with the reason: links, pipes, devices.
    """

    files: dict[str, tuple[int, tuple[int, ...]]]
    apart: dict[str, str]

    @property
    def total(self) -> int:
        return sum(size for size, _ in self.files.values())


def find(root: Path, without: Collection[str] = (), runs: Collection[str] | None = None) -> Found:
    """What an archive of a sweep's directory, or a run's, would hold.

    Args:
        without: of `taunode.runs.manifest.PARTS`.
        runs: the names of the run directories that are taken; all where nothing is said.

    Raises:
        BadInput: a file has a name that cannot stand in an archive.
    """
    files: dict[str, tuple[int, tuple[int, ...]]] = {}
    apart: dict[str, str] = {}
    taken = None if runs is None else {f"runs/{name}" for name in runs}
    for name, entry in _walk(root, ""):
        run = run_of(name)
        if run and taken is not None and run not in taken:
            continue
        if name.rpartition("/")[2] in PLAIN and _is_second_name(root, name):
            continue
        seen = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(seen.st_mode):
            apart[name] = "is a symbolic link" if stat.S_ISLNK(seen.st_mode) else "is not a regular file"
        elif name == NAME:
            raise BadInput(f"{root}: a file {NAME} would take the place of the archive's own")
        elif part_of(name) not in without:
            if (reason := why_no_name(name)) is not None:
                raise BadInput(f"{root}: the name {name!a} {reason}")
            files[name] = seen.st_size, (seen.st_ino, seen.st_mtime_ns, seen.st_size)
    return Found(dict(sorted(files.items())), apart)


def _walk(root: Path, prefix: str) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Every file below a directory, by its name from there; no link is followed."""
    try:
        with os.scandir(root / prefix) as entries:
            found = list(entries)
    except OSError as error:
        raise Unreadable(root / prefix, error.strerror or "cannot be read") from None
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, f"{prefix}{entry.name}/")
        elif not _aside.fullmatch(entry.name):
            yield f"{prefix}{entry.name}", entry


def _is_second_name(root: Path, name: str) -> bool:
    """Whether a plain name of a run's (`metrics.csv`) leads to one attempt's file."""
    path = root / name
    stem, _, suffix = path.name.partition(".")
    if not os.path.lexists(RunDirectory(path.parent).record):
        return False
    if path.is_symlink():
        return re.fullmatch(rf"{stem}\.[0-9]+\.{suffix}", os.readlink(path)) is not None
    numbers = RunDirectory(path.parent).numbers(f"{stem}.{{}}.{suffix}")
    return any(_is_same(path.with_name(f"{stem}.{number}.{suffix}"), path) for number in numbers)


def _is_same(one: Path, other: Path) -> bool:
    a, b = one.lstat(), other.lstat()
    if os.path.samestat(a, b) or a.st_size != b.st_size:
        return os.path.samestat(a, b)
    with open_regular(one) as first, open_regular(other) as second:  # copied without its links
        while (chunk := first.read(CHUNK)) and chunk == second.read(CHUNK):
            pass
        return not chunk


def write(
    root: Path, found: Found, without: Collection[str], file: BinaryIO, advance: Callable[[int], object]
) -> Manifest:
    """Write the archive of what `find` has found; `advance` hears of the bytes that were read.

    Raises:
        Unreadable: a file cannot be read, or has changed since it was found.
    """
    manifest = _write(root, found, without, file, advance, zipfile.ZIP_DEFLATED)
    if is_bomb(manifest.total, file.tell()):  # a log of one letter: who reads it could not tell
        file.seek(0)
        file.truncate()
        manifest = _write(root, found, without, file, lambda count: None, zipfile.ZIP_STORED)
    return manifest


def _write(
    root: Path, found: Found, without: Collection[str], file: BinaryIO, advance: Callable[[int], object], method: int
) -> Manifest:
    entries: dict[str, Entry] = {}
    with zipfile.ZipFile(file, "w") as made:
        for name, (size, mark) in found.files.items():
            info = _info(name, size, zipfile.ZIP_STORED if name.endswith(DENSE) else method)
            state, count = hashlib.sha256(), 0
            with open_regular(root / name) as source, made.open(info, "w") as target:
                while (chunk := source.read(CHUNK)) and count <= size:
                    state.update(chunk)
                    target.write(chunk)
                    count += len(chunk)
                    advance(len(chunk))
                seen = os.fstat(source.fileno())
            if count != size or (seen.st_ino, seen.st_mtime_ns, seen.st_size) != mark:
                raise Unreadable(root / name, "has changed while it was read")
            entries[name] = Entry(size, state.hexdigest())
        manifest = Manifest(FORMAT, sorted(without), entries)
        content = manifest.to_json()
        with made.open(_info(NAME, len(content), zipfile.ZIP_STORED), "w") as target:
            target.write(content)
    return manifest


def _info(name: str, size: int, method: int) -> zipfile.ZipInfo:
    """An entry of a file that everybody may read, of no time and nobody's."""
    info = zipfile.ZipInfo(name, EPOCH)
    info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
    info.compress_type, info.file_size = method, size
    return info
