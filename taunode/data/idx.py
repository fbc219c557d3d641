"""The idx files of the MNIST family: a magic number, the lengths of the dimensions (big-endian), then the bytes."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taunode.data.images import Images
from taunode.errors import BadInput

UNSIGNED_BYTE = 0x08


def find_idx(path: Path) -> Path | None:
    """`path` itself, or its compressed form `path`.gz, whichever is there."""
    return next((found for found in (path, path.with_name(f"{path.name}.gz")) if found.is_file()), None)


def pair(part: str) -> tuple[str, str]:
    """The names of the images and the labels of `part`: train or t10k."""
    return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"


def read_pair(raw: Path, part: str, count: int) -> Images:
    """The images and labels of `part` in `raw`; raises `BadInput` unless there are `count` as in MNIST."""
    pixels, labels = (read_idx(raw / name, dimensions) for name, dimensions in zip(pair(part), (3, 1), strict=True))
    if pixels.shape != (count, 28, 28) or labels.shape != (count,) or labels.max() > 9:
        raise BadInput(
            f"{raw}/{part}-*: images {pixels.shape} and labels {labels.shape} up to {labels.max(initial=0)}, expected "
            f"{(count, 28, 28)} and {(count,)} up to 9"
        )
    return Images(pixels[:, None], labels.astype(np.int64))


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes with so many dimensions, plain or compressed.

    Raises `BadInput` that names the file when it is not such a file or not whole.
    """
    found = find_idx(path)
    if found is None:
        raise BadInput(f"{path} is not there, nor {path.name}.gz; set runtime.data_root to the folder that has it")
    try:
        content = gzip.decompress(found.read_bytes()) if found.suffix == ".gz" else found.read_bytes()
    except (OSError, EOFError, zlib.error) as fault:
        raise BadInput(f"{found} cannot be read: {fault}") from fault
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]):
        raise BadInput(f"{found} is not an idx file of unsigned bytes with {dimensions} dimensions")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", dimensions, offset=4))
    if len(content) != start + math.prod(shape):
        raise BadInput(
            f"{found} is damaged: {len(content)} bytes, where shape {shape} needs {start + math.prod(shape)}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
