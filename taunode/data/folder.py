"""The index of a data set that is a folder, or a zip, of class folders: `airplane/0000.jpg`, `bird/0000.jpg`, …

A folder and its zip have the same index. Names are sorted; hidden files, `__MACOSX` and what is no image are passed
over, and so is one folder around all class folders (`train/airplane/0000.jpg`).
"""

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taunode.data.files import File, Files
from taunode.errors import BadInput, nearest
from taunode.paths import expanded

ENDINGS = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"))
TEST_NAMES = ("validation", "val", "test")
ENCRYPTED = 0x1  # of a zip member's flag bits


@dataclass(frozen=True)
class Index:
    """The images of one split, sorted by class and name. `digest`: a hash of their names (`class/image`) and lengths,
    the same for a folder and its zip."""

    files: Files
    classes: list[str]
    digest: str

    @property
    def source(self) -> Path:
        return self.files.source


def find_split(root: Path, given: str, key: str) -> Path:
    """The folder or zip that `given` names: itself or with .zip, absolute or within `root`; absolute.

    Raises `BadInput`, with the configuration's `key`, when there is none.
    """
    path = Path(os.path.abspath(root / expanded(given, key)))
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
        f"no test split beside {train}: looked for {', '.join(TEST_NAMES)}, as a folder or .zip; there are: "
        f"{nearest(TEST_NAMES[0], os.listdir(train.parent))}; set dataset.test"
    )


def _folder_or_zip(path: Path) -> Path | None:
    if path.is_dir() or path.is_file():
        return path
    packed = path.with_name(f"{path.name}.zip")
    return packed if packed.is_file() else None


def read_index(source: Path) -> Index:
    """Raises `BadInput` when a zip is corrupt or encrypted, or there are not at least two class folders with images."""
    listed = _list_folder(source) if source.is_dir() else _list_zip(source)
    images = [(name, file) for name, file in ((_plain(file.name), file) for file in listed) if _is_image(name)]
    if not images:
        raise BadInput(f"{source} holds no images; expected <class>/<image>, with {' '.join(sorted(ENDINGS))}")
    inside = [(name, file) for name, file in images if "/" in name]
    tops = {name.partition("/")[0] for name, _ in inside}
    if len(tops) == 1 and all(name.count("/") > 1 for name, _ in inside):
        inside = [(name.partition("/")[2], file) for name, file in inside]
        tops = {name.partition("/")[0] for name, _ in inside}
    classes = sorted(tops)
    if len(classes) < 2:
        only = f"only the class folder {classes[0]!r}" if classes else "images but no class folders"
        raise BadInput(f"{source} holds {only}; expected at least two: <class>/<image>")
    inside.sort(key=lambda item: item[0].replace("/", "\0"))  # folder by folder: "/" before every other character
    label = {name: number for number, name in enumerate(classes)}
    labels = [label[name.partition("/")[0]] for name, _ in inside]
    lines = "".join([f"{name}\0{file.size}\n" for name, file in inside])
    digest = hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()
    return Index(Files.of(source, [file for _, file in inside], labels), classes, digest)


def read_splits(root: Path, train: str, test: str | None, read: Callable[[Path], Index]) -> list[Index]:
    """The indexes, by `read`, of the training and the test split that a configuration names (`test` null: the one
    beside `train`); raises `BadInput` when one is missing or they have different classes."""
    found = find_split(root, train, "dataset.train")
    beside = find_test_split(found) if test is None else find_split(root, test, "dataset.test")
    indexes = [read(found), read(beside)]
    check_classes(*indexes)
    return indexes


def fingerprint(indexes: Sequence[Index]) -> str:
    """What stands for the splits in a run's signature: the same for folders and their zips."""
    return f"folder-1-{hashlib.sha256(''.join(index.digest for index in indexes).encode()).hexdigest()[:32]}"


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


def _plain(name: str) -> str:
    """`./train//cat/1.png` as `train/cat/1.png`."""
    if "//" in name or "./" in name or name.startswith("/"):
        return "/".join(part for part in name.split("/") if part not in ("", "."))
    return name


def _is_image(name: str) -> bool:
    hidden = name.startswith((".", "__MACOSX/")) or "/." in name or "/__MACOSX/" in name
    return not hidden and name[name.rfind(".") :].lower() in ENDINGS


def _list_folder(folder: Path) -> Iterator[File]:
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(folder / inside) as entries:
                for entry in entries:
                    if entry.is_dir():
                        waiting.append(f"{inside}{entry.name}/")
                    elif entry.is_file():
                        stat = entry.stat()
                        yield File(f"{inside}{entry.name}", stat.st_size, stat.st_mtime_ns)
        except OSError as fault:
            raise BadInput(f"{fault.filename} cannot be read: {fault.strerror}") from fault


def _list_zip(path: Path) -> Iterator[File]:
    with open_zip(path) as packed:
        for member in packed.infolist():
            if member.flag_bits & ENCRYPTED:
                raise BadInput(f"{path} is encrypted; unpack it and give the folder")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadInput(
                    f"{path}: {member.filename} is compressed by method {member.compress_type}; valid: 0 (stored, best "
                    "for images) or 8 (deflated)"
                )
            yield File(
                member.filename,
                member.file_size,
                member.CRC,
                member.header_offset,
                member.compress_size,
                member.compress_type,
            )


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Raises `BadInput` when it is no zip, or a damaged one."""
    try:
        packed = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as fault:
        raise BadInput(f"{path} is not a whole zip: {fault}") from fault
    with packed:
        yield packed
