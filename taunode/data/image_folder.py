"""A data set of your own: class folders of images of one size, decoded once into the cache."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taunode.data.cache import Arrays, cached
from taunode.data.dataset import DataSet
from taunode.data.decode import MODES, common_size, decode
from taunode.data.folder import Index, fingerprint, read_index, read_splits
from taunode.data.images import Splits, split_arrays
from taunode.errors import BadInput

LARGEST = 16 * 2**30  # bytes of pixels: everything is meant to fit a device's memory


@dataclass(frozen=True, kw_only=True)
class ImageFolder(DataSet):
    """Folders or zips of class folders.

    `train`: a folder or zip, absolute or within the data root, with or without its `.zip`. `test`: the same; null is
    the first of validation, val and test beside `train`. `channels`: 1 or 3, to which all images are converted.
    """

    train: str
    test: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels not in MODES:
            raise BadInput(f"dataset.channels={self.channels}; valid for an image folder: 1 (grey) or 3 (colour)")

    def facts(self, root: Path, cache: Path | None = None) -> dict[str, Any]:
        """Also `train` and `test` as absolute paths. Lists all files, and opens the first image of each split."""
        return self._look(root)[1]

    def prepare(self, root: Path, cache: Path | None = None) -> None:
        indexes, facts = self._look(root)
        if cache is None:
            _decode(indexes, facts)
        else:
            _decoded(indexes, facts, cache)

    def load(self, root: Path, cache: Path) -> Splits:
        return split_arrays(_decoded(*self._look(root), cache), self.holdout)

    def _look(self, root: Path) -> tuple[list[Index], dict[str, Any]]:
        indexes = read_splits(root, self.train, self.test, read_index)
        size = common_size(indexes)
        assert self.channels is not None  # one of MODES
        facts = self._agreed(
            channels=self.channels,
            image_size=size,
            classes=len(indexes[0].classes),
            train_images=len(indexes[0].files),
            fingerprint=fingerprint(indexes),
        )
        train, test = (index.source for index in indexes)
        bytes_needed = sum(len(index.files) for index in indexes) * self.channels * size * size
        if bytes_needed > LARGEST:
            raise BadInput(
                f"{train} and {test} need {bytes_needed / 2**30:.1f} GiB of memory when decoded; "
                f"at most {LARGEST // 2**30} GiB: make the images smaller, or fewer"
            )
        return indexes, facts | {"train": str(train), "test": str(test)}


def _decoded(indexes: Sequence[Index], facts: dict[str, Any], cache: Path) -> Arrays:
    # The fingerprint knows names and lengths; the stamps find contents that changed and kept their length.
    contents = "".join([facts["fingerprint"], str(facts["channels"]), *(index.files.stamps() for index in indexes)])
    key = f"folder-1-{hashlib.sha256(contents.encode()).hexdigest()[:32]}"
    return cached(cache, key, lambda: _decode(indexes, facts))


def _decode(indexes: Sequence[Index], facts: dict[str, Any]) -> Arrays:
    arrays: Arrays = {}
    for part, index in zip(("train", "test"), indexes, strict=True):
        arrays[f"{part}_pixels"] = decode(index, facts["channels"], facts["image_size"])
        arrays[f"{part}_labels"] = index.files.labels
    return arrays
