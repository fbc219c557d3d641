import gzip
from pathlib import Path

import numpy as np
import pytest

from taunode.data.idx import read_idx
from taunode.errors import BadInput

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
CONTENT = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + ARRAY.tobytes()


@pytest.mark.parametrize("compressed", [True, False])
def test_read(tmp_path: Path, compressed: bool) -> None:
    (tmp_path / ("x.gz" if compressed else "x")).write_bytes(gzip.compress(CONTENT, mtime=0) if compressed else CONTENT)
    assert (read_idx(tmp_path / "x", 3) == ARRAY).all()


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("x", CONTENT[:-1], "damaged: 39 bytes, where shape .* needs 40"),
        ("x", CONTENT + b"!", "damaged"),
        ("x", CONTENT[:7], "not an idx file"),
        ("x", b"<html>no such page</html>", "not an idx file"),
        ("x.gz", b"<html>no such page</html>", "cannot be read"),
        ("x.gz", gzip.compress(CONTENT, mtime=0)[:-9], "cannot be read"),
        ("y", b"", "x is not there, nor x.gz"),
    ],
)
def test_file_that_is_not_whole(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=complaint):
        read_idx(tmp_path / "x", 3)
