"""The named data sets that lie in memory, one class a kind, which `conf/dataset/*.yaml` name.

Nothing here imports torch, and torchvision (4 s) only where something is downloaded or CIFAR's cache is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taunode.data.cache import Arrays, cached
from taunode.data.cifar import SOURCES as CIFAR
from taunode.data.dataset import DataSet as DataSet
from taunode.data.download import fetch
from taunode.data.idx import find_idx, pair, read_pair
from taunode.data.images import Images, Splits, split, split_arrays
from taunode.data.synthetic import blended
from taunode.errors import BadInput, nearest


@dataclass(frozen=True, kw_only=True)
class Digits(DataSet):
    """Handwritten digits of 8 × 8 pixels, part of this package (digits-licence.txt): 1,437 to train, 360 to test.

    The split is plain, the first and the last images of the file; the test split has each digit 33 to 37 times.
    """

    def facts(self, root: Path, cache: Path | None = None) -> dict[str, Any]:
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

    def facts(self, root: Path, cache: Path | None = None) -> dict[str, Any]:
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

    def facts(self, root: Path, cache: Path | None = None) -> dict[str, Any]:
        return self._agreed(channels=1, image_size=28, classes=10, train_images=60_000, fingerprint=f"{self.source}-1")

    def prepare(self, root: Path, cache: Path | None = None) -> None:
        self.facts(root)
        fetch(root, self.source, f"{self.source}/raw", lambda: self._missing(root))
        self._read(root)

    def load(self, root: Path, cache: Path) -> Splits:
        self.facts(root)
        return split(*self._read(root), self.holdout)

    def to_download(self, root: Path) -> int:
        return MEGABYTES[self.source] if self._missing(root) else 0

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

    def facts(self, root: Path, cache: Path | None = None) -> dict[str, Any]:
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
        return split_arrays(cached(cache, f"{self.source}-1", lambda: CIFAR[self.source].read(root)), self.holdout)

    def to_download(self, root: Path) -> int:
        return MEGABYTES[self.source] if CIFAR[self.source].missing(root) else 0

    def _fetched(self, root: Path) -> Arrays:
        source = CIFAR[self.source]
        fetch(root, source.kind, source.folder, lambda: source.missing(root), source.archive)
        return source.read(root)


MEGABYTES = {"MNIST": 12, "FashionMNIST": 31, "CIFAR10": 170, "CIFAR100": 169}  # of torchvision's archives


def _check_source(source: str, valid: Sequence[str] | dict[str, Any]) -> None:
    if source not in valid:
        raise BadInput(f"dataset.source={source}; valid: {nearest(source, valid)}")
