"""The image files of a folder or a zip, as arrays that many processes can share, read one at a time."""

import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taunode.errors import BadInput


class File(NamedTuple):
    """One file: its name within the source, its length in bytes, and a stamp that changes with its contents
    (a folder: the time of modification in nanoseconds; a zip: the CRC-32). A zip's has more: where its member begins,
    how many bytes it takes there, and how they are compressed (0, or 8: deflated)."""

    name: str
    size: int
    stamp: int
    start: int = 0
    packed: int = 0
    method: int = 0


@dataclass(frozen=True)
class Files:
    """Labelled image files of `source`, a folder or a zip.

    `names`: bytes (n,); `numbers`: int64 (n, 5), the other fields of `File`; `labels`: int64 (n,), 0..classes-1.
    They may be memory-mapped.
    """

    source: Path
    names: NDArray[np.bytes_]
    numbers: NDArray[np.int64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, source: Path, files: Sequence[File], labels: Sequence[int]) -> "Files":
        names = np.array([file.name.encode(errors="surrogateescape") for file in files], np.bytes_)
        return cls(source, names, np.array([file[1:] for file in files], np.int64), np.array(labels, np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: NDArray[np.intp]) -> "Files":
        return Files(self.source, self.names[chosen], self.numbers[chosen], self.labels[chosen])

    def file(self, number: int) -> File:
        return File(self.names[number].decode(errors="surrogateescape"), *self.numbers[number].tolist())

    def stamps(self) -> str:
        """A hash of all stamps: another one when the contents of a file may be others."""
        return hashlib.sha256(self.numbers[:, 1].tobytes()).hexdigest()

    def title(self, number: int) -> str:
        """What a message calls the file."""
        return f"{self.source}/{self.file(number).name}"


@contextmanager
def reading(source: Path) -> Iterator[Callable[[File], bytes]]:
    """Reads the bytes of the files of `source` for as long as the context lasts.

    A member of a zip is found by its place, without the zip's directory: that of 1.28 million images takes zipfile
    seconds and a gigabyte, in every process. Reading raises `OSError`, or for a damaged member `zipfile.BadZipFile`,
    `struct.error` or `zlib.error`; opening raises `BadInput`, and so does a file that has been overwritten.
    """
    if source.is_dir():

        def content(file: File) -> bytes:
            with (source / file.name).open("rb") as opened:
                found = os.fstat(opened.fileno())
                if (found.st_size, found.st_mtime_ns) != (file.size, file.stamp):
                    raise BadInput(f"{source}/{file.name} has been overwritten since the folder's index was made")
                return opened.read()

        yield content
        return
    try:
        packed = source.open("rb")
    except OSError as fault:
        raise BadInput(f"{source} cannot be read: {fault.strerror}") from fault
    with packed:

        def member(file: File) -> bytes:
            packed.seek(file.start)
            signature, name_length, extra_length = struct.unpack("<4s22xHH", packed.read(30))
            if signature != b"PK\3\4":
                raise zipfile.BadZipFile("no member begins where the directory says")
            packed.seek(name_length + extra_length, 1)
            content = packed.read(file.packed)
            if file.method == zipfile.ZIP_DEFLATED:
                content = zlib.decompress(content, wbits=-15, bufsize=max(1, file.size))  # no header
            if len(content) != file.size or zlib.crc32(content) != file.stamp:
                raise zipfile.BadZipFile("Bad CRC-32")
            return content

        yield member
