"""The index of a large folder or zip, made once and kept in the cache for as long as its source stays as it is.

The index of 1.28 million images takes tens of seconds to make, and minutes on a file server; a kept one is
memory-mapped. A zip has changed when its length or time of modification has; a folder when the time of any folder in
it has, which the file system renews when a file is added, removed or renamed, or when a file in it was overwritten:
that is looked for when runs are planned, and noticed when such a file is read (`taunode.data.files.reading`).
"""

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taunode.data.cache import Arrays, cached
from taunode.data.files import Files
from taunode.data.folder import Index, read_index
from taunode.errors import BadInput


def kept_index(source: Path, cache: Path, thorough: bool = False) -> Index:
    """`read_index(source)`, from `cache` where it is kept there; raises `BadInput` as `read_index` and `cached` do.

    `thorough`: look at every file of a folder, not at its folders alone.
    """

    def is_current(arrays: Arrays) -> bool:
        try:
            if not np.array_equal(_stamps(source, _text(arrays["folders"])), arrays["stamps"]):
                return False
            if not thorough or not source.is_dir():
                return True
            found = _stamps(source, _text(arrays["names"]))
            return np.array_equal(found[:, ::-1], arrays["numbers"][:, :2])
        except OSError:  # one of them is gone
            return False

    def build() -> Arrays:
        # The stamps come first: what changes while the index is made makes it an old one.
        folders = _folders(source)
        try:
            stamps = _stamps(source, folders)
        except OSError as fault:
            raise BadInput(f"{fault.filename} cannot be read: {fault.strerror}") from fault
        index = read_index(source)
        return {
            "names": index.files.names,
            "numbers": index.files.numbers,
            "labels": index.files.labels,
            "classes": _bytes(index.classes),
            "digest": _bytes([index.digest]),
            "folders": _bytes(folders),
            "stamps": stamps,
        }

    arrays = cached(cache, f"index-1-{hashlib.sha256(os.fsencode(source)).hexdigest()[:32]}", build, is_current)
    files = Files(source, arrays["names"], arrays["numbers"], arrays["labels"])
    return Index(files, _text(arrays["classes"]), _text(arrays["digest"])[0])


def _folders(source: Path) -> list[str]:
    """A folder and all folders in it, relative to it; of a zip the zip."""
    return [os.path.relpath(folder, source) for folder, _, _ in os.walk(source, followlinks=True)] or ["."]


def _stamps(source: Path, names: list[str]) -> NDArray[np.int64]:
    """Time of modification (nanoseconds) and length of each, (n, 2); raises `OSError` when one is gone."""
    folder = os.fspath(source)
    stats = [os.stat(folder if name == "." else f"{folder}/{name}") for name in names]
    return np.array([(stat.st_mtime_ns, stat.st_size) for stat in stats], np.int64)


def _bytes(texts: list[str]) -> NDArray[np.bytes_]:
    return np.array([text.encode(errors="surrogateescape") for text in texts], np.bytes_)


def _text(texts: NDArray[np.bytes_]) -> list[str]:
    return [text.decode(errors="surrogateescape") for text in texts.tolist()]
