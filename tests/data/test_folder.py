from collections.abc import Callable
from pathlib import Path

import pytest

from taunode.data.folder import Index, check_classes, find_split, find_test_split, fingerprint, read_index
from taunode.errors import BadInput

Write = Callable[[Path, dict[str, object]], Path]


def names(index: Index) -> list[str]:
    return [index.files.file(number).name for number in range(len(index.files))]


def test_index_is_sorted_and_passes_over_what_is_no_image(tmp_path: Path, write_folder: Write, tree: Callable) -> None:
    extra = {
        ".hidden/1.png": b"x",
        "cat/.1.png": b"x",
        "cat/notes.txt": b"x",
        "__MACOSX/cat/1.png": b"x",
        "readme.md": b"x",
    }
    index = read_index(write_folder(tmp_path / "train", tree(("dog", "cat"), 2) | {"dog/more/9.PNG": b"x"} | extra))
    assert index.classes == ["cat", "dog"]
    assert names(index) == ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png", "dog/more/9.PNG"]
    assert index.files.labels.tolist() == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("directories", [True, False])
@pytest.mark.parametrize("prefix", ["", "train/"])
def test_folder_and_its_zip_have_one_index(
    tmp_path: Path, write_folder: Write, tree: Callable, pack: Callable, directories: bool, prefix: str
) -> None:
    folder = write_folder(tmp_path / "train", tree())
    packed = read_index(pack(folder, tmp_path / "packed.zip", directories, prefix))
    unpacked = read_index(folder)
    assert packed.classes == unpacked.classes
    assert names(packed) == [prefix + name for name in names(unpacked)]
    assert packed.files.labels.tolist() == unpacked.files.labels.tolist()
    assert packed.digest == unpacked.digest
    assert fingerprint([packed, packed]) == fingerprint([unpacked, packed])


def test_digest_and_stamps_notice_changes(tmp_path: Path, write_folder: Write, tree: Callable) -> None:
    folder = write_folder(tmp_path / "train", tree())
    before = read_index(folder)
    content = (folder / "cat/0.png").read_bytes()
    (folder / "cat/0.png").write_bytes(content[::-1])
    assert read_index(folder).digest == before.digest
    assert read_index(folder).files.stamps() != before.files.stamps()
    (folder / "cat/0.png").write_bytes(content + b"!")
    assert read_index(folder).digest != before.digest


def test_zip_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "train.zip").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(BadInput, match=r"train\.zip is not a whole zip"):
        read_index(tmp_path / "train.zip")


def test_cut_zip(tmp_path: Path, write_folder: Write, tree: Callable, pack: Callable) -> None:
    path = pack(write_folder(tmp_path / "train", tree()), tmp_path / "train.zip")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadInput, match=r"train\.zip is not a whole zip"):
        read_index(path)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ([], "holds no images"),
        (["1.png", "2.png"], "images but no class folders"),
        (["cat/1.png", "cat/2.png"], "only the class folder 'cat'"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_without_classes(
    tmp_path: Path, write_folder: Write, pack: Callable, names: list[str], complaint: str, zipped: bool
) -> None:
    source = write_folder(tmp_path / "train", dict.fromkeys(names, b"x"))
    with pytest.raises(BadInput, match=rf"{complaint}.*expected"):
        read_index(pack(source, tmp_path / "train.zip") if zipped else source)


def test_splits_are_found(tmp_path: Path, write_folder: Write, tree: Callable, pack: Callable) -> None:
    train = write_folder(tmp_path / "train", tree())
    test = pack(train, tmp_path / "test.zip")
    assert find_split(tmp_path, "train", "dataset.train") == train
    assert find_split(Path("/nowhere"), str(train), "dataset.train") == train
    assert find_split(tmp_path, "test", "dataset.test") == test
    assert find_split(tmp_path, "test.zip", "dataset.test") == test
    assert find_test_split(train) == test
    assert find_test_split(write_folder(tmp_path / "val", tree()).parent / "train").name == "val"
    assert find_test_split(pack(train, tmp_path / "validation.zip")).name == "validation.zip"


def test_missing_splits(tmp_path: Path, write_folder: Write, tree: Callable) -> None:
    train = write_folder(tmp_path / "train", tree())
    with pytest.raises(BadInput, match=r"dataset\.train=trian: .*trian\.zip; there are: train"):
        find_split(tmp_path, "trian", "dataset.train")
    with pytest.raises(BadInput, match=r"dataset\.train=train: .*not there"):
        find_split(tmp_path / "elsewhere", "train", "dataset.train")
    with pytest.raises(BadInput, match=r"no test split beside .*validation, val, test"):
        find_test_split(train)


def test_classes_must_agree(tmp_path: Path, write_folder: Write, tree: Callable) -> None:
    train = read_index(write_folder(tmp_path / "train", tree(("ant", "cat", "dog"))))
    test = read_index(write_folder(tmp_path / "val", tree(("cat", "dog", "emu"))))
    check_classes(train, train)
    with pytest.raises(BadInput, match=r"ant only in .*train; emu only in .*val"):
        check_classes(train, test)
