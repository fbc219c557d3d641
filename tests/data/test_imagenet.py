import dataclasses
import importlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from data.conftest import picture

from taunode.data import kept_index
from taunode.data.files import Files
from taunode.data.imagenet import Imagenet
from taunode.data.loader import loaders
from taunode.errors import BadInput

OPTION = Path(__file__).parents[2] / "conf" / "dataset" / "imagenet.yaml"
Tree = dict[str, Any]


def option(**changes: Any) -> Imagenet:
    keys = yaml.safe_load(OPTION.read_text()) | {"train": "train"} | changes
    module, _, kind = keys.pop("_target_").rpartition(".")
    made = getattr(importlib.import_module(module), kind)(**keys)
    assert isinstance(made, Imagenet)
    return made


def photographs(images: int = 4, seed: int = 0) -> Tree:
    """Of several sizes and modes, as they come: classes cat and dog."""
    tree = {}
    for number in range(2 * images):
        file = io.BytesIO()
        mode = ("RGB", "L", "CMYK")[number % 3]
        picture(seed + number, (20 + number, 30 - number), mode).save(file, "JPEG")
        tree[f"{('cat', 'dog')[number % 2]}/{number}.JPEG"] = file.getvalue()
    return tree


@pytest.fixture
def root(tmp_path: Path, write_folder: Callable, pack: Callable) -> Path:
    """`train.zip`, without entries for its folders, and the folder `validation`."""
    pack(write_folder(tmp_path / "unpacked", photographs()), tmp_path / "train.zip")
    write_folder(tmp_path / "validation", photographs(2, seed=50))
    return tmp_path


def test_facts_load_and_loaders(root: Path) -> None:
    cache = root / "cache"
    dataset = option(image_size=8, holdout=3)
    facts = dataset.facts(root, cache)
    assert (facts["channels"], facts["image_size"], facts["classes"]) == (3, 8, 2)
    assert facts["train"] == str(root / "train.zip")
    assert facts["test"] == str(root / "validation")
    assert facts == dataset.facts(root)
    planned = dataclasses.replace(dataset, **facts)
    planned.prepare(root, cache)
    splits = planned.load(root / "nowhere", cache)
    assert isinstance(splits.train, Files)
    assert splits.validation is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (5, 3, 4)
    names = np.concatenate([splits.train.names, splits.validation.names])
    assert len(np.unique(names)) == 8
    train, evaluated = loaders(planned, splits, 4, seed=0, device="cpu")
    assert [tuple(inputs.shape) for inputs, _ in train] == [(4, 3, 8, 8), (1, 3, 8, 8)]
    assert {name: each.samples for name, each in evaluated.items()} == {"test": 4, "validation": 3}
    assert [label for _, labels in evaluated["test"] for label in labels.tolist()] == [0, 0, 1, 1]


def test_folder_and_its_zip_are_the_same_data(root: Path) -> None:
    assert option(train="unpacked").facts(root)["fingerprint"] == option().facts(root)["fingerprint"]


def test_index_is_made_once_for_all_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = option()
    dataset.facts(root, root / "cache")
    monkeypatch.setattr(kept_index, "read_index", None)
    dataset.prepare(root, root / "cache")
    dataset.load(root, root / "cache")


def test_top5_is_reported() -> None:
    assert Imagenet.top5


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"channels": 1}, "dataset.channels=1, but the data of imagenet have 3"),
        ({"classes": 1000}, "dataset.classes=1000, but the data of imagenet have 2"),
        ({"crop_padding": 4}, "dataset.crop_padding=4; valid: 0"),
        ({"image_size": 0}, "dataset.image_size=0; valid: 1"),
        ({"holdout": 8}, "dataset.holdout=8 cannot be taken from 8"),
        ({"fingerprint": "x"}, "not the data the run was planned with"),
        ({"train": "trian"}, r"dataset\.train=trian: no folder or zip .*; there are: train.zip"),
        ({"test": "val"}, r"dataset\.test=val: no folder or zip .*; there are: validation"),
    ],
)
def test_configuration_that_does_not_fit(changes: dict[str, Any], complaint: str, root: Path) -> None:
    with pytest.raises(BadInput, match=complaint):
        option(**changes).facts(root, root / "cache")


def test_missing_split_says_what_is_there(root: Path) -> None:
    (root / "validation").rename(root / "valid")
    with pytest.raises(BadInput, match=r"no test split beside .*train\.zip: looked for .*there are: valid, "):
        option().facts(root)


def encrypted(path: Path) -> bytes:
    content = bytearray(path.read_bytes())
    for entry in range(len(content) - 4):
        if content[entry : entry + 4] == b"PK\1\2":
            content[entry + 8] |= 1
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (lambda path: path.read_bytes()[:-30], r"train\.zip is not a whole zip"),
        (encrypted, r"train\.zip is encrypted; unpack it"),
        (lambda path: b"", r"train\.zip is not a whole zip"),
    ],
)
def test_zip_that_cannot_be_read(content: Callable[[Path], bytes], complaint: str, root: Path) -> None:
    path = root / "train.zip"
    path.write_bytes(content(path))
    with pytest.raises(BadInput, match=complaint):
        option().facts(root, root / "cache")
    assert not (root / "cache").exists()


@pytest.mark.parametrize(
    ("method", "names", "complaint"),
    [
        (zipfile.ZIP_STORED, ["1.JPEG", "2.JPEG"], "holds images but no class folders; expected at least two"),
        (zipfile.ZIP_STORED, ["train/1.JPEG", "train/2.JPEG"], "holds only the class folder 'train'"),
        (zipfile.ZIP_LZMA, ["a/1.JPEG", "b/2.JPEG"], r"a/1\.JPEG is compressed by method 14; valid: 0"),
    ],
)
def test_zip_of_another_kind(method: int, names: list[str], complaint: str, root: Path) -> None:
    with zipfile.ZipFile(root / "train.zip", "w", method) as packed:
        for name in names:
            packed.writestr(name, b"x")
    with pytest.raises(BadInput, match=complaint):
        option().facts(root, root / "cache")


def test_classes_must_agree(root: Path, write_folder: Callable) -> None:
    write_folder(root / "validation", {"emu/1.JPEG": b"x"})
    with pytest.raises(BadInput, match=r"emu only in .*validation"):
        option().facts(root)


def test_prepare_opens_an_image_of_each_split(root: Path, write_folder: Callable) -> None:
    write_folder(root / "validation", {"cat/0.JPEG": b"?"})
    with pytest.raises(BadInput, match=r"validation/cat/0\.JPEG is damaged"):
        option().prepare(root, root / "cache")
