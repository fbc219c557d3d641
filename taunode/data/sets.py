"""The data sets, one class a kind, which `conf/dataset/*.yaml` name.

Nothing here imports torch, and torchvision (4 s) only where something is downloaded or CIFAR's cache is made.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taunode.data.cache import Arrays, cached
from taunode.data.cifar import SOURCES as CIFAR
from taunode.data.dataset import DataSet as DataSet
from taunode.data.decode import MODES, common_size, decode
from taunode.data.download import fetch
from taunode.data.folder import Index, check_classes, find_split, find_test_split, read_index
from taunode.data.idx import find_idx, pair, read_pair
from taunode.data.images import Images, Splits, split
from taunode.data.synthetic import blended
from taunode.errors import BadInput, nearest

LARGEST = 16 * 2**30  # bytes of pixels: everything is meant to fit a device's memory


@dataclass(frozen=True, kw_only=True)
class Digits(DataSet):
    """Handwritten digits of 8 × 8 pixels, part of this package (digits-licence.txt): 1,437 to train, 360 to test.

    The split is plain, the first and the last images of the file; the test split has each digit 33 to 37 times.
    """

    def facts(self, root: Path) -> dict[str, Any]:
        return self._agreed(channels=1, image_size=8, classes=10, train_images=1437, fingerprint="digits-1")

    def load(self, root: Path, cache: Path) -> Splits:
        self.facts(root)
        with np.load(Path(__file__).with_name("digits.npz")) as file:
            # 0..16 counts the dark pixels of a 4 × 4 field of the scan.
            pixels = np.rint(file["pixels"] * (255 / 16)).astype(np.uint8)
            labels = file["labels"].astype(np.int64)
        return split(Images(pixels[:1437], labels[:1437]), Images(pixels[1437:], labels[1437:]), self.holdout)


@dataclass(frozen=True, kw_only=True)
class Synthetic(DataSet):
    """Random images for tests and trials: each class a coarse pattern, each image a blend of it with noise.

    `noise`: the noise's part of the blend, 0 (all images of a class are one) to 1 (nothing to learn).
    """

    channels: int
    image_size: int
    classes: int
    train_images: int
    test_images: int
    noise: float

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("train_images", "test_images"):
            if getattr(self, key) < 1:
                raise BadInput(f"dataset.{key}={getattr(self, key)}; valid: 1, 2, …")
        if not 0 <= self.noise <= 1:
            raise BadInput(f"dataset.noise={self.noise}; valid: 0 to 1")

    def facts(self, root: Path) -> dict[str, Any]:
        shape = f"{self.channels}x{self.image_size}x{self.image_size}"
        counts = f"{self.classes}-{self.train_images}-{self.test_images}"
        return self._agreed(
            channels=self.channels,
            image_size=self.image_size,
            classes=self.classes,
            train_images=self.train_images,
            fingerprint=f"synthetic-1-{shape}-{counts}-{float(self.noise)}",
        )

    def load(self, root: Path, cache: Path) -> Splits:
        self.facts(root)
        shape = (self.channels, self.image_size)
        train = blended(self.train_images, self.classes, *shape, self.noise, seed=1)
        return split(train, blended(self.test_images, self.classes, *shape, self.noise, seed=2), self.holdout)


@dataclass(frozen=True, kw_only=True)
class Mnist(DataSet):
    """MNIST and the sets made in its likeness: 60,000 and 10,000 grey images of 28 × 28 pixels in idx files.

    `source`: torchvision's class, `MNIST` or `FashionMNIST`; the files are in `<data root>/<source>/raw`, plain or .gz.
    """

    source: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_source(self.source, ("MNIST", "FashionMNIST"))

    def facts(self, root: Path) -> dict[str, Any]:
        return self._agreed(channels=1, image_size=28, classes=10, train_images=60_000, fingerprint=f"{self.source}-1")

    def prepare(self, root: Path, cache: Path | None = None) -> None:
        self.facts(root)
        fetch(root, self.source, f"{self.source}/raw", lambda: self._missing(root))
        self._read(root)

    def load(self, root: Path, cache: Path) -> Splits:
        self.facts(root)
        return split(*self._read(root), self.holdout)

    def _missing(self, root: Path) -> list[str]:
        raw = root / self.source / "raw"
        return [name for part in ("train", "t10k") for name in pair(part) if find_idx(raw / name) is None]

    def _read(self, root: Path) -> tuple[Images, Images]:
        raw = root / self.source / "raw"
        return read_pair(raw, "train", 60_000), read_pair(raw, "t10k", 10_000)


@dataclass(frozen=True, kw_only=True)
class Cifar(DataSet):
    """CIFAR-10 and CIFAR-100: 50,000 and 10,000 colour images of 32 × 32 pixels, in torchvision's layout.

    `source`: torchvision's class, `CIFAR10` or `CIFAR100`. torchvision checks and reads the files once; from then on
    they are in the cache.
    """

    source: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_source(self.source, CIFAR)

    def facts(self, root: Path) -> dict[str, Any]:
        return self._agreed(
            channels=3,
            image_size=32,
            classes=CIFAR[self.source].classes,
            train_images=50_000,
            fingerprint=f"{self.source}-1",
        )

    def prepare(self, root: Path, cache: Path | None = None) -> None:
        self.facts(root)
        if cache is None:
            self._fetched(root)
        else:
            cached(cache, f"{self.source}-1", lambda: self._fetched(root))

    def load(self, root: Path, cache: Path) -> Splits:
        self.facts(root)
        return _split(cached(cache, f"{self.source}-1", lambda: CIFAR[self.source].read(root)), self.holdout)

    def _fetched(self, root: Path) -> Arrays:
        source = CIFAR[self.source]
        fetch(root, source.kind, source.folder, lambda: source.missing(root), source.archive)
        return source.read(root)


@dataclass(frozen=True, kw_only=True)
class ImageFolder(DataSet):
    """Folders or zips of class folders with images of one size, decoded once into the cache.

    `train`: a folder or zip, absolute or within the data root, with or without its `.zip`. `test`: the same; null is
    the first of validation, val and test beside `train`. `channels`: 1 or 3, to which all images are converted.
    """

    train: str
    test: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels not in MODES:
            raise BadInput(f"dataset.channels={self.channels}; valid for an image folder: 1 (grey) or 3 (colour)")

    def facts(self, root: Path) -> dict[str, Any]:
        """Also `train` and `test` as absolute paths. Lists all files, and opens the first image of each split."""
        return self._look(root)[1]

    def prepare(self, root: Path, cache: Path | None = None) -> None:
        indexes, facts = self._look(root)
        if cache is None:
            _decode(indexes, facts)
        else:
            _decoded(indexes, facts, cache)

    def load(self, root: Path, cache: Path) -> Splits:
        return _split(_decoded(*self._look(root), cache), self.holdout)

    def _look(self, root: Path) -> tuple[list[Index], dict[str, Any]]:
        train = find_split(root, self.train, "dataset.train")
        test = find_test_split(train) if self.test is None else find_split(root, self.test, "dataset.test")
        indexes = [read_index(train), read_index(test)]
        check_classes(*indexes)
        size = common_size(indexes)
        digest = hashlib.sha256("".join(index.digest() for index in indexes).encode()).hexdigest()
        assert self.channels is not None  # one of MODES
        facts = self._agreed(
            channels=self.channels,
            image_size=size,
            classes=len(indexes[0].classes),
            train_images=len(indexes[0].files),
            fingerprint=f"folder-1-{digest[:32]}",
        )
        bytes_needed = sum(len(index.files) for index in indexes) * self.channels * size * size
        if bytes_needed > LARGEST:
            raise BadInput(
                f"{train} and {test} need {bytes_needed / 2**30:.1f} GiB of memory when decoded; "
                f"at most {LARGEST // 2**30} GiB: make the images smaller, or fewer"
            )
        return indexes, facts | {"train": str(train), "test": str(test)}


def _decoded(indexes: Sequence[Index], facts: dict[str, Any], cache: Path) -> Arrays:
    # The fingerprint knows names and lengths; the stamps find contents that changed and kept their length.
    contents = "".join([facts["fingerprint"], str(facts["channels"]), *(index.stamps() for index in indexes)])
    key = f"folder-1-{hashlib.sha256(contents.encode()).hexdigest()[:32]}"
    return cached(cache, key, lambda: _decode(indexes, facts))


def _decode(indexes: Sequence[Index], facts: dict[str, Any]) -> Arrays:
    arrays: Arrays = {}
    for part, index in zip(("train", "test"), indexes, strict=True):
        arrays[f"{part}_pixels"] = decode(index, facts["channels"], facts["image_size"])
        arrays[f"{part}_labels"] = np.asarray(index.labels, np.int64)
    return arrays


def _split(arrays: Arrays, holdout: int) -> Splits:
    train, test = (Images(arrays[f"{part}_pixels"], arrays[f"{part}_labels"]) for part in ("train", "test"))
    return split(train, test, holdout)


def _check_source(source: str, valid: Sequence[str] | dict[str, Any]) -> None:
    if source not in valid:
        raise BadInput(f"dataset.source={source}; valid: {nearest(source, valid)}")
