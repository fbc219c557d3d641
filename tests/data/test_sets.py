import dataclasses
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from taunode.data import image_folder
from taunode.data.decode import decode
from taunode.data.folder import read_index
from taunode.data.sets import DataSet
from taunode.errors import BadInput

OPTIONS = Path(__file__).parents[2] / "conf" / "dataset"
SHARED = Path(__file__).parents[2].parent / "shared"
Write = Callable[[Path, dict[str, object]], Path]


def target(name: str) -> Any:
    module, _, kind = name.rpartition(".")
    return getattr(importlib.import_module(module), kind)


def option(name: str, **changes: Any) -> DataSet:
    keys = yaml.safe_load((OPTIONS / f"{name}.yaml").read_text()) | changes
    made = target(keys.pop("_target_"))(**keys)
    assert isinstance(made, DataSet)
    return made


def check_splits(dataset: DataSet, root: Path, cache: Path) -> None:
    facts = dataset.facts(root)
    splits = dataset.load(root, cache)
    for images in (splits.train, splits.test):
        assert images.pixels.dtype == np.uint8
        assert images.labels.dtype == np.int64
        assert images.pixels.shape == (len(images), facts["channels"], facts["image_size"], facts["image_size"])
        assert set(images.labels) == set(range(facts["classes"]))


def test_no_torch_is_imported() -> None:
    sets = "taunode.data.sets, taunode.data.image_folder, taunode.data.imagenet"
    code = f"import sys, {sets}; sys.exit(any(name in sys.modules for name in ('torch', 'torchvision')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("path", sorted(OPTIONS.glob("*.yaml")), ids=lambda path: path.stem)
def test_option_holds_all_keys_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ")
    keys = yaml.safe_load(text)
    for base in keys.pop("defaults", []):
        keys = (yaml.safe_load((OPTIONS / f"{base}.yaml").read_text()) if base != "_self_" else {}) | keys
    assert keys.keys() - {"_target_"} == {field.name for field in dataclasses.fields(target(keys["_target_"]))}
    assert keys["name"] == path.stem
    assert keys["fingerprint"] is None
    assert keys["holdout"] == 0
    option(path.stem)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100", "digits", "synthetic"])
def test_facts_need_no_files_and_agree_with_the_option(name: str, tmp_path: Path) -> None:
    dataset = option(name)
    facts = dataset.facts(tmp_path / "nothing")
    assert {key: getattr(dataset, key) for key in ("channels", "image_size", "classes")} == {
        key: facts[key] for key in ("channels", "image_size", "classes")
    }
    assert dataclasses.replace(dataset, **facts).facts(tmp_path) == facts


def test_fingerprints_differ(tmp_path: Path) -> None:
    datasets = [option(name) for name in ("mnist", "fashion_mnist", "cifar10", "cifar100", "digits", "synthetic")]
    datasets += [option("synthetic", train_images=511), option("synthetic", noise=0.5)]
    assert len({dataset.facts(tmp_path)["fingerprint"] for dataset in datasets}) == len(datasets)
    # What does not change the data does not change the fingerprint.
    same = option("synthetic", holdout=5, mean=[0.1], flip=True)
    assert same.facts(tmp_path)["fingerprint"] == option("synthetic").facts(tmp_path)["fingerprint"]


@pytest.mark.parametrize(
    ("name", "changes", "complaint"),
    [
        ("mnist", {"channels": 3}, "dataset.channels=3, but the data of mnist have 1"),
        ("digits", {"classes": 9}, "dataset.classes=9, but the data of digits have 10"),
        ("digits", {"fingerprint": "x"}, "dataset.fingerprint=x, .*not the data the run was planned with"),
        ("cifar10", {"mean": [0.1, 0.2]}, r"dataset.mean=\[0.1, 0.2\] has 2 numbers; valid: 1, or 3"),
        ("cifar10", {"std": [0.1, 0.2, 0.0]}, r"dataset.std=\[0.1, 0.2, 0.0\]; valid: positive"),
        ("cifar10", {"crop_padding": -1}, "dataset.crop_padding=-1; valid: 0, 1"),
        ("cifar10", {"holdout": 50_000}, "dataset.holdout=50000 cannot be taken from 50000"),
        ("cifar10", {"source": "CIFAR11"}, "dataset.source=CIFAR11; valid: CIFAR10"),
        ("mnist", {"source": "mnist"}, "dataset.source=mnist; valid: .*MNIST"),
        ("synthetic", {"classes": 0}, "dataset.classes=0; valid: 1"),
        ("synthetic", {"test_images": 0}, "dataset.test_images=0; valid: 1"),
        ("synthetic", {"noise": 1.5}, "dataset.noise=1.5; valid: 0 to 1"),
        ("image_folder", {"channels": 4}, "dataset.channels=4; valid for an image folder: 1"),
    ],
)
def test_configuration_that_does_not_fit(name: str, changes: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=complaint):
        option(name, **changes).facts(tmp_path)


def test_digits(tmp_path: Path) -> None:
    dataset = option("digits", holdout=37)
    dataset.prepare(tmp_path)
    check_splits(dataset, tmp_path, tmp_path)
    splits = dataset.load(tmp_path, tmp_path)
    assert splits.validation is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1400, 37, 360)
    everything = np.concatenate([splits.train.pixels, splits.validation.pixels]) / 255
    assert everything.mean() == pytest.approx(dataset.mean[0], abs=1e-3)
    assert everything.std() == pytest.approx(dataset.std[0], abs=1e-3)
    assert everything.max() == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [1, 7, 8])
def test_synthetic(size: int, tmp_path: Path) -> None:
    dataset = option("synthetic", image_size=size, channels=2, classes=4, train_images=33, test_images=9)
    check_splits(dataset, tmp_path, tmp_path)
    first, second = (dataset.load(tmp_path, tmp_path) for _ in range(2))
    assert (first.train.pixels == second.train.pixels).all()
    assert not (first.train.pixels[:9] == first.test.pixels).all()


def nearest_mean_accuracy(dataset: DataSet, tmp_path: Path) -> float:
    splits = dataset.load(tmp_path, tmp_path)
    train, test = (images.pixels.reshape(len(images), -1) / 255 for images in (splits.train, splits.test))
    means = np.stack([train[splits.train.labels == label].mean(axis=0) for label in range(10)])
    found = ((test[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    return float((found == splits.test.labels).mean())


def test_synthetic_images_can_be_learned_as_far_as_the_noise_lets(tmp_path: Path) -> None:
    assert nearest_mean_accuracy(option("synthetic"), tmp_path) > 0.9
    assert nearest_mean_accuracy(option("synthetic", noise=1.0), tmp_path) < 0.3


def test_mnist_files_of_another_shape_are_refused(mnist_files: Path, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in mnist_files.iterdir():
        (raw / path.name).symlink_to(mnist_files / path.name.replace("train", "t10k"))
    with pytest.raises(BadInput, match=r"images \(10000, 28, 28\) .*expected \(60000, 28, 28\)"):
        option("mnist").prepare(tmp_path)


def test_image_folder(tmp_path: Path, write_folder: Write, tree: Callable, pack: Callable) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache"
    train = write_folder(root / "train", tree(images=5))
    pack(write_folder(tmp_path / "other", tree(images=2, seed=7)), root / "val.zip", prefix="val/")
    dataset = option("image_folder", holdout=3)
    facts = dataset.facts(root)
    assert facts["train"] == str(train)
    assert facts["test"] == str(root / "val.zip")
    assert (facts["channels"], facts["image_size"], facts["classes"]) == (3, 6, 2)
    assert not cache.exists()
    planned = dataclasses.replace(dataset, **facts)
    dataset.prepare(root, cache)
    planned.prepare(root)
    # The frozen configuration finds its data whatever the data root is.
    splits = planned.load(tmp_path / "nowhere", cache)
    assert splits.validation is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (7, 3, 4)
    pixels = decode(read_index(root / "val.zip"), 3, 6)
    assert (splits.test.pixels == pixels).all()
    assert isinstance(splits.test.pixels, np.memmap)
    assert len(list(cache.glob("*/sizes.json"))) == 1


def test_image_folder_that_changed(tmp_path: Path, write_folder: Write, tree: Callable) -> None:
    for name in ("train", "test"):
        write_folder(tmp_path / name, tree())
    dataset = option("image_folder")
    planned = dataclasses.replace(dataset, **dataset.facts(tmp_path))
    (tmp_path / "train/cat/0.png").unlink()
    with pytest.raises(BadInput, match="not the data the run was planned with"):
        planned.load(tmp_path, tmp_path / "cache")


def test_changed_pixels_of_the_same_length_are_decoded_anew(
    tmp_path: Path, write_folder: Write, tree: Callable
) -> None:
    bitmaps = {name.replace("png", "bmp"): image for name, image in tree().items()}
    for name in ("train", "test"):
        write_folder(tmp_path / name, bitmaps)
    dataset = option("image_folder")
    before = dataset.load(tmp_path, tmp_path / "cache")
    bitmaps["cat/0.bmp"], bitmaps["cat/1.bmp"] = bitmaps["cat/1.bmp"], bitmaps["cat/0.bmp"]
    write_folder(tmp_path / "train", bitmaps)
    after = dataset.load(tmp_path, tmp_path / "cache")
    assert (after.train.pixels[:2] == before.train.pixels[[1, 0]]).all()


@pytest.mark.parametrize("with_cache", [True, False])
def test_prepare_finds_damaged_images(tmp_path: Path, write_folder: Write, tree: Callable, with_cache: bool) -> None:
    write_folder(tmp_path / "train", tree())
    write_folder(tmp_path / "validation", tree() | {"dog/2.png": b"?"})
    with pytest.raises(BadInput, match=r"validation/dog/2\.png is damaged"):
        option("image_folder").prepare(tmp_path, tmp_path / "cache" if with_cache else None)


def test_image_folder_too_large(
    tmp_path: Path, write_folder: Write, tree: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("train", "test"):
        write_folder(tmp_path / name, tree())
    monkeypatch.setattr(image_folder, "LARGEST", 12 * 108 - 1)
    with pytest.raises(BadInput, match=r"need 0\.0 GiB of memory when decoded; at most"):
        option("image_folder").facts(tmp_path)


@pytest.mark.skipif(not (SHARED / "data/mnist").is_dir(), reason="the shared MNIST is not here")
def test_real_mnist(tmp_path: Path) -> None:
    dataset = option("mnist")
    dataset.prepare(SHARED / "data/mnist")
    check_splits(dataset, SHARED / "data/mnist", tmp_path)
    splits = dataset.load(SHARED / "data/mnist", tmp_path)
    # The known statistics of MNIST's training images, and the known number of ones.
    assert splits.train.pixels.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert splits.train.pixels.std() / 255 == pytest.approx(0.3081, abs=1e-4)
    assert (splits.train.labels == 1).sum() == 6742


@pytest.mark.skipif(not (SHARED / "data/cifar10-jpeg").is_dir(), reason="the shared CIFAR-10 zips are not here")
def test_real_cifar_zips(tmp_path: Path) -> None:
    root = SHARED / "data/cifar10-jpeg"
    dataset = option("image_folder")
    dataset.prepare(root, tmp_path)
    check_splits(dataset, root, tmp_path)
    splits = dataset.load(root, tmp_path)
    assert np.bincount(splits.train.labels).tolist() == [5000] * 10
    assert len(splits.test) == 10_000
    assert splits.train.pixels.mean(axis=(0, 2, 3)) / 255 == pytest.approx([0.4914, 0.4822, 0.4465], abs=2e-3)
