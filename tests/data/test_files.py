import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from taunode.data.files import reading
from taunode.data.folder import read_index
from taunode.errors import BadInput

CONTENTS = {f"{name}/{k}.png": bytes([k]) * size for name in ("cat", "dög") for k, size in enumerate((0, 1, 9000))}


@pytest.fixture(params=["folder", "stored", "deflated", "zip64", "after other bytes"])
def source(request: pytest.FixtureRequest, tmp_path: Path, write_folder: Callable) -> Path:
    if request.param == "folder":
        return write_folder(tmp_path / "train", CONTENTS)
    path = tmp_path / "train.zip"
    method = zipfile.ZIP_STORED if request.param == "stored" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, content in CONTENTS.items():
            with packed.open(name, "w", force_zip64=request.param == "zip64") as member:
                member.write(content)
    if request.param == "after other bytes":  # a program that unpacks itself
        path.write_bytes(b"#!" * 500 + path.read_bytes())
    return path


def test_every_file_is_read(source: Path) -> None:
    files = read_index(source).files
    with reading(source) as read:
        found = {files.file(number).name: read(files.file(number)) for number in range(len(files))}
    assert found == CONTENTS


def test_chosen_files_are_those(source: Path) -> None:
    files = read_index(source).files
    chosen = np.array([4, 0])
    assert [files[chosen].file(k) for k in range(2)] == [files.file(4), files.file(0)]
    assert files[chosen].labels.tolist() == [1, 0]
    assert files[chosen].title(0) == f"{source}/dög/1.png"


@pytest.mark.parametrize("place", ["header", "content"])
def test_damage_of_a_zip_is_found(tmp_path: Path, place: str) -> None:
    path = tmp_path / "train.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name in CONTENTS:
            packed.writestr(name, b"content of a file")
    content = bytearray(path.read_bytes())
    content[0 if place == "header" else content.index(b"content")] ^= 0xFF
    path.write_bytes(content)
    files = read_index(path).files
    with reading(path) as read:
        with pytest.raises(zipfile.BadZipFile):
            read(files.file(0))
        assert read(files.file(1)) == b"content of a file"


def test_source_that_vanished(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"train\.zip cannot be read: No such file"), reading(tmp_path / "train.zip"):
        pass
