"""Unpack: read an archive that may be from anybody. All of it is checked before anything of it is written.

Its entries are the files that the manifest names, no more and no fewer, regular ones with names below the directory,
of the sizes that it says, which together are no bomb. The digests are of what was unpacked.
"""

import contextlib
import hashlib
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from taunode.errors import BadInput
from taunode.paths import resolved
from taunode.runs.archive import CHUNK
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.files import Unreadable, aside, open_regular, read_bytes
from taunode.runs.manifest import FORMAT, NAME, RATIO, Entry, Manifest, is_bomb, part_of, why_no_name

MOST = 10_000_000  # files; a sweep of 100,000 runs has a million
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises on damaged or made-up files, beside its own: zlib's errors, and of a file that ends too soon;
# NotImplementedError for a version that it does not know, RuntimeError for a password, the rest for lengths and places
# that are none.
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class Archive:
    """An archive whose entries are what its manifest says, but for the digests.

    Attributes:
        digest: 32 hex digits that stand for its manifest, and so for all that is in it.
    """

    path: Path
    manifest: Manifest
    digest: str
    _zip: zipfile.ZipFile

    def verify(self, advance: Callable[[int], object] = lambda count: None) -> None:
        """Read everything, and write nothing; `advance` hears of the bytes.

        Raises:
            Unreadable: a file is not what the manifest says.
        """
        for name in self.manifest.files:
            for chunk in self._chunks(name):
                advance(len(chunk))

    def unpack(
        self, directory: Path, small: bool = False, advance: Callable[[int], object] = lambda count: None
    ) -> None:
        """Write its files into a new directory, all or nothing, with a run's plain names as taunode makes them.

        Args:
            directory: it does not exist yet, or is empty.
            small: without weights and checkpoints.

        Raises:
            Unreadable: a file is not what the manifest says.
            OSError: it cannot be written, or somebody else was faster.
        """
        beside = aside(directory)
        beside.mkdir(parents=True)
        try:
            for name in self.manifest.files:
                if small and part_of(name) is not None:
                    continue
                target = beside / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with open(target, "xb") as file:
                    for chunk in self._chunks(name):
                        file.write(chunk)
                        advance(len(chunk))
            for run in [RunDirectory(beside)] if "run.json" in self.manifest.files else SweepDirectory(beside):
                _join(run)
            os.rename(beside, directory)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise

    def _chunks(self, name: str) -> Iterator[bytes]:
        """What a file holds, bytes by bytes; at its end it has been what the manifest says."""
        entry = self.manifest.files[name]
        state, count = hashlib.sha256(), 0
        try:
            with self._zip.open(name) as file:
                while (chunk := file.read(CHUNK)) and count <= entry.size:
                    count += len(chunk)
                    state.update(chunk)
                    yield chunk
        except BROKEN as error:
            raise Unreadable(self.path, f"{name!r} cannot be unpacked ({' '.join(str(error).split())})") from None
        if count != entry.size:
            raise Unreadable(self.path, f"{name!r} has not the {entry.size} bytes that the manifest says")
        if state.hexdigest() != entry.sha256:
            raise Unreadable(self.path, f"{name!r} has not the digest that the manifest says")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an archive.

    Raises:
        Missing, Unreadable: there is none; or it is none, with the name of the entry that is not as it should be.
    """
    path = resolved(path)
    with open_regular(path) as file:
        try:
            made = zipfile.ZipFile(file)
        except BROKEN:
            raise Unreadable(path, "is no archive of a sweep (not a zip file)") from None
        with made:
            manifest, digest = _checked(path, made, file)
            yield Archive(path, manifest, digest, made)


def _checked(path: Path, made: zipfile.ZipFile, file: BinaryIO) -> tuple[Manifest, str]:
    infos = made.infolist()
    if len(infos) > MOST:
        raise Unreadable(path, f"has more than {MOST:,} entries")
    known: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        if (reason := _why_not(info)) is not None:
            raise Unreadable(path, f"the entry {info.orig_filename!r} {reason}")
        if info.filename in known:
            raise Unreadable(path, f"the entry {info.filename!r} is there twice")
        known[info.filename] = info
    folders = {name[:place] for name in known for place, letter in enumerate(name) if letter == "/"}
    if both := sorted(folders & known.keys()):
        raise Unreadable(path, f"the entry {both[0]!r} is a file and a directory")
    size = os.fstat(file.fileno()).st_size
    manifest, digest = _manifest(path, made, known, size)
    if "run.json" not in known and not any(name.startswith("runs/") for name in known):
        raise Unreadable(path, "holds neither a sweep nor a run")
    _compare(path, manifest.files, {name: info.file_size for name, info in known.items() if name != NAME})
    if is_bomb(manifest.total, size) or sum(info.compress_size for info in infos) > size:
        raise Unreadable(
            path, f"would unpack its {size:,} bytes to {manifest.total:,}: more than {RATIO} times as many"
        )
    return manifest, digest


def _why_not(info: zipfile.ZipInfo) -> str | None:
    """What is wrong with an entry; None if nothing is."""
    if (reason := why_no_name(info.orig_filename)) is not None or info.orig_filename != info.filename:
        return reason or "is no name of a file"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "is a symbolic link" if kind == stat.S_IFLNK else "is not a regular file"
    if info.flag_bits & 0x1:
        return "is encrypted"
    return None if info.compress_type in METHODS else "is compressed in a way that no archive is"


def _manifest(path: Path, made: zipfile.ZipFile, known: dict[str, zipfile.ZipInfo], size: int) -> tuple[Manifest, str]:
    info = known.get(NAME)
    if info is None:
        raise Unreadable(path, f"is no archive of a sweep (it has no {NAME})")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > size:
        raise Unreadable(path, f"the entry {NAME!r} is not stored as it is")
    try:
        content = made.read(info)
        manifest = msgspec.json.decode(content, type=Manifest)
    except (*BROKEN, RecursionError) as error:
        raise Unreadable(path, f"{NAME}: {' '.join(str(error).split())}") from None
    if manifest.format > FORMAT:
        raise Unreadable(path, f"was written by a newer taunode (format {manifest.format}; this one reads {FORMAT})")
    return manifest, hashlib.sha256(content).hexdigest()[:32]


def _compare(path: Path, files: dict[str, Entry], sizes: dict[str, int]) -> None:
    for name in sorted(files.keys() | sizes.keys()):
        if name not in sizes:
            raise Unreadable(path, f"the manifest names {name!r}, which is not there")
        if name not in files:
            raise Unreadable(path, f"the entry {name!r} is not in the manifest")
        if files[name].size != sizes[name]:
            raise Unreadable(path, f"{name!r} has {sizes[name]} bytes, of which the manifest says {files[name].size}")


def _join(run: RunDirectory) -> None:
    """Give a run's files their second names again, and let no claim look as if its owner had just been heard of."""
    with contextlib.suppress(Unreadable, OSError):
        if os.path.lexists(run.hydra / "config.yaml"):
            _link(run.config, run.hydra / "config.yaml")
    newest = run.attempts()
    try:
        if os.path.lexists(run.done):
            attempt = run.read_done()["attempt"]
            _link(run.claim(attempt), run.done)
            run.settle(attempt)
        elif newest:
            run.link(newest)
            started = datetime.fromisoformat(run.read_claim(newest)["started"]).timestamp()
            os.utime(run.claim(newest), (started, started))
    except (BadInput, OSError, ValueError, OverflowError):  # a broken run, which is read as one
        return


def _link(first: Path, second: Path) -> None:
    """Let `second` be a name of `first`, if it is the same."""
    if read_bytes(first) == read_bytes(second):
        second.unlink()
        os.link(first, second)
