import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from taunode.data import kept_index as module
from taunode.data.files import reading
from taunode.data.folder import Index, read_index
from taunode.data.kept_index import kept_index
from taunode.errors import BadInput

Make = Callable[[], Path]


@pytest.fixture(params=["folder", "zip"])
def source(request: pytest.FixtureRequest, tmp_path: Path, write_folder: Callable, tree: Callable) -> Path:
    folder = write_folder(tmp_path / "train", tree(("äpfel", "dog"), 4) | {"dog/deep/1.png": b"x", "notes.txt": b"x"})
    if request.param == "folder":
        return folder
    packed = tmp_path / "train.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for path in folder.rglob("*.png"):
            file.write(path, path.relative_to(folder))
    return packed


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The sources of which an index has been made."""
    made: list[Path] = []

    def read(source: Path) -> Index:
        made.append(source)
        return read_index(source)

    monkeypatch.setattr(module, "read_index", read)
    return made


def same(first: Index, second: Index) -> bool:
    arrays = zip(vars(first.files).values(), vars(second.files).values(), strict=True)
    return (first.classes, first.digest) == (second.classes, second.digest) and all(
        np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in arrays
    )


def test_made_once_and_the_same(source: Path, tmp_path: Path, built: list[Path]) -> None:
    for _ in range(3):
        assert same(kept_index(source, tmp_path / "cache"), read_index(source))
    assert built == [source]


def test_each_source_has_its_own(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / f"other{source.suffix}"
    (shutil.copytree if source.is_dir() else shutil.copy)(source, copy)
    first, second = (kept_index(each, tmp_path / "cache") for each in (source, copy))
    assert (first.source, second.source) == (source, copy)
    assert first.digest == second.digest


@pytest.mark.parametrize("change", ["added", "removed", "renamed", "added deep inside", "new folder"])
def test_change_of_a_folder_is_noticed(
    tmp_path: Path, write_folder: Callable, tree: Callable, built: list[Path], change: str
) -> None:
    folder = write_folder(tmp_path / "train", tree() | {"dog/deep/1.png": b"x"})
    (folder / "dog/empty").mkdir()
    before = kept_index(folder, tmp_path / "cache")
    _tick(folder)
    match change:
        case "added":
            (folder / "dog/9.png").write_bytes(b"x")
        case "removed":
            (folder / "dog/1.png").unlink()
        case "renamed":
            (folder / "dog/1.png").rename(folder / "dog/9.png")
        case "added deep inside":
            (folder / "dog/empty/9.png").write_bytes(b"x")
        case "new folder":
            write_folder(folder / "emu", {"1.png": b"x"})
    after = kept_index(folder, tmp_path / "cache")
    assert after.digest != before.digest
    assert same(after, read_index(folder))
    assert len(built) == 2


@pytest.mark.parametrize("length", [1, 2])
def test_an_overwritten_image_is_noticed_when_runs_are_planned_or_it_is_read(
    tmp_path: Path, write_folder: Callable, tree: Callable, built: list[Path], length: int
) -> None:
    folder = write_folder(tmp_path / "train", tree() | {"dog/1.png": b"x"})
    before = kept_index(folder, tmp_path / "cache")
    (folder / "dog/1.png").write_bytes(b"y" * length)
    os.utime(folder / "dog/1.png", ns=(0, 10**9))
    assert same(kept_index(folder, tmp_path / "cache"), before)  # nobody has looked at the files
    number = before.files.names.tolist().index(b"dog/1.png")
    with reading(folder) as read, pytest.raises(BadInput, match=r"dog/1\.png has been overwritten"):
        read(before.files.file(number))
    after = kept_index(folder, tmp_path / "cache", thorough=True)
    assert same(after, read_index(folder))
    assert (after.digest != before.digest) == (length == 2)  # an index is of names and lengths
    with reading(folder) as read:
        assert read(after.files.file(number)) == b"y" * length
    assert len(built) == 2


def _tick(folder: Path) -> None:
    """Folders have been as they are for a second: the clock of a file system may tick slowly."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            os.utime(path, ns=(0, path.stat().st_mtime_ns - 10**9))


def test_change_of_a_zip_is_noticed(
    tmp_path: Path, write_folder: Callable, tree: Callable, pack: Callable, built: list[Path]
) -> None:
    folder = write_folder(tmp_path / "train", tree())
    packed = pack(folder, tmp_path / "train.zip")
    before = kept_index(packed, tmp_path / "cache")
    (folder / "dog/9.png").write_bytes(b"x")
    pack(folder, packed)
    assert kept_index(packed, tmp_path / "cache").digest != before.digest
    assert len(built) == 2
    os.utime(packed, ns=(0, 0))
    kept_index(packed, tmp_path / "cache")
    assert len(built) == 3


def test_source_that_vanished(source: Path, tmp_path: Path) -> None:
    kept_index(source, tmp_path / "cache")
    source.rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="train"):
        kept_index(source, tmp_path / "cache")


def test_nothing_is_kept_of_what_is_refused(tmp_path: Path, write_folder: Callable) -> None:
    with pytest.raises(BadInput, match="holds no images"):
        kept_index(write_folder(tmp_path / "train", {}), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
