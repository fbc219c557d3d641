"""The index of a data set that is a folder, or a zip, of class folders: `airplane/0000.jpg`, `bird/0000.jpg`, …

A folder and its zip have the same index. Names are sorted; hidden files, `__MACOSX` and what is no image are passed
over, and so is one folder around all class folders (`train/airplane/0000.jpg`).
"""

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from taunode.errors import BadInput, nearest

ENDINGS = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"))
TEST_NAMES = ("validation", "val", "test")
ENCRYPTED = 0x1  # of a zip member's flag bits


class File(NamedTuple):
    """One image: its name within the source, its length in bytes, and a stamp that changes with its contents
    (a folder: the time of modification in nanoseconds; a zip: the CRC-32)."""

    name: str
    size: int
    stamp: int


@dataclass(frozen=True)
class Index:
    """The images of one split, sorted: `names[i]` (`class/image`) is the image in `files[i]`, of class `labels[i]`."""

    source: Path
    classes: list[str]
    names: list[str]
    files: list[File]
    labels: list[int]

    def digest(self) -> str:
        """A hash of the names and lengths: the same for a folder and its zip."""
        lines = (f"{name}\0{file.size}\n" for name, file in zip(self.names, self.files, strict=True))
        return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()

    def stamps(self) -> str:
        """A hash of the stamps: another one when the contents of a file may be others."""
        return hashlib.sha256(repr([file.stamp for file in self.files]).encode()).hexdigest()


def find_split(root: Path, given: str, key: str) -> Path:
    """The folder or zip that `given` names: itself or with .zip, absolute or within `root`; absolute.

    Raises `BadInput`, with the configuration's `key`, when there is none.
    """
    path = Path(os.path.abspath(root / given))
    found = _folder_or_zip(path)
    if found is None:
        there = sorted(os.listdir(path.parent)) if path.parent.is_dir() else []
        holds = f"there are: {nearest(path.name, there)}" if there else f"{path.parent} is empty or not there"
        raise BadInput(f"{key}={given}: no folder or zip of class folders at {path} or {path}.zip; {holds}")
    return found


def find_test_split(train: Path) -> Path:
    """The test split that lies beside the training split; raises `BadInput` when there is none."""
    candidates = [train.parent / name for name in TEST_NAMES]
    for path in candidates:
        if (found := _folder_or_zip(path)) is not None:
            return found
    raise BadInput(
        f"no test split beside {train}: looked for {', '.join(TEST_NAMES)}, as a folder or .zip, in {train.parent}; "
        "set dataset.test"
    )


def _folder_or_zip(path: Path) -> Path | None:
    if path.is_dir() or path.is_file():
        return path
    packed = path.with_name(f"{path.name}.zip")
    return packed if packed.is_file() else None


def read_index(source: Path) -> Index:
    """Raises `BadInput` when a zip is corrupt or encrypted, or there are not at least two class folders with images."""
    listed = _list_folder(source) if source.is_dir() else _list_zip(source)
    images = [(PurePosixPath(file.name).parts, file) for file in listed]
    images = [(parts, file) for parts, file in images if _is_image(parts)]
    if not images:
        raise BadInput(f"{source} holds no images; expected <class>/<image>, with {' '.join(sorted(ENDINGS))}")
    inside = [(parts, file) for parts, file in images if len(parts) > 1]
    if len({parts[0] for parts, _ in inside}) == 1 and all(len(parts) > 2 for parts, _ in inside):
        inside = [(parts[1:], file) for parts, file in inside]
    classes = sorted({parts[0] for parts, _ in inside})
    if len(classes) < 2:
        only = f"only the class folder {classes[0]!r}" if classes else "images but no class folders"
        raise BadInput(f"{source} holds {only}; expected at least two: <class>/<image>")
    inside.sort()
    label = {name: number for number, name in enumerate(classes)}
    return Index(
        source,
        classes,
        names=["/".join(parts) for parts, _ in inside],
        files=[file for _, file in inside],
        labels=[label[parts[0]] for parts, _ in inside],
    )


def check_classes(train: Index, test: Index) -> None:
    """Raises `BadInput`, with the classes that one of the splits lacks, unless both have the same."""
    only = [sorted(set(a.classes) - set(b.classes)) for a, b in ((train, test), (test, train))]
    if any(only):
        told = [
            f"{', '.join(classes[:8])}{', …' if len(classes) > 8 else ''} only in {index.source}"
            for classes, index in zip(only, (train, test), strict=True)
            if classes
        ]
        raise BadInput(f"the splits have different classes: {'; '.join(told)}")


def _is_image(parts: tuple[str, ...]) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and PurePosixPath(parts[-1]).suffix.lower() in ENDINGS


def _list_folder(folder: Path) -> Iterator[File]:
    def unreadable(fault: OSError) -> None:
        raise BadInput(f"{fault.filename} cannot be read: {fault.strerror}") from fault

    for directory, _, names in os.walk(folder, onerror=unreadable, followlinks=True):
        for name in names:
            path = Path(directory, name)
            if path.is_file():
                stat = path.stat()
                yield File(path.relative_to(folder).as_posix(), stat.st_size, stat.st_mtime_ns)


def _list_zip(path: Path) -> Iterator[File]:
    with open_zip(path) as packed:
        for member in packed.infolist():
            if member.flag_bits & ENCRYPTED:
                raise BadInput(f"{path} is encrypted; unpack it and give the folder")
            yield File(member.filename, member.file_size, member.CRC)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Raises `BadInput` when it is no zip, or a damaged one."""
    try:
        packed = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as fault:
        raise BadInput(f"{path} is not a whole zip: {fault}") from fault
    with packed:
        yield packed


@contextmanager
def reading(source: Path) -> Iterator[Callable[[str], bytes]]:
    """Reads the bytes of a file of an `Index`, by its name, for as long as the context lasts."""
    if source.is_dir():
        yield lambda name: (source / name).read_bytes()
    else:
        with open_zip(source) as packed:
            yield packed.read
