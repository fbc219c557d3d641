"""Labelled images in memory, the splits of a data set, and the one fixed way to hold some training images out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from taunode.data.files import Files
from taunode.errors import BadInput

HOLDOUT_SEED = 20260101
Kind = TypeVar("Kind", "Images", Files)


@dataclass(frozen=True)
class Images:
    """Images with their classes.

    `pixels`: uint8 (n, channels, height, width), 0..255; `labels`: int64 (n,), 0..classes-1.
    Either may be memory-mapped.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: NDArray[np.intp]) -> "Images":
        return Images(self.pixels[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Splits:
    """What a run trains on, is tested on, and (where `dataset.holdout` asks for it) is validated on: all `Images`, or
    all `Files` that are decoded when they are needed."""

    train: Images | Files
    test: Images | Files
    validation: Images | Files | None = None


def split(train: Kind, test: Kind, holdout: int) -> Splits:
    """The splits with `holdout` training images moved to the validation split (0: no validation split).

    Which images those are depends on the number of training images only, so that all runs of a sweep, whatever
    their seed, share the split. Raises `BadInput` unless 0 <= holdout < number of training images.
    """
    check_holdout(holdout, len(train))
    if holdout == 0:
        return Splits(train, test)
    # The bits of PCG64 are fixed for ever; numpy may change what Generator.permutation makes of them.
    order = np.argsort(np.random.PCG64(HOLDOUT_SEED).random_raw(len(train)), kind="stable")
    return Splits(train[np.sort(order[holdout:])], test, train[np.sort(order[:holdout])])


def split_arrays(arrays: Mapping[str, NDArray[Any]], holdout: int) -> Splits:
    """The splits of `train_pixels`, `train_labels`, `test_pixels` and `test_labels`, as `split` makes them."""
    train, test = (Images(arrays[f"{part}_pixels"], arrays[f"{part}_labels"]) for part in ("train", "test"))
    return split(train, test, holdout)


def check_holdout(holdout: int, train_images: int) -> None:
    """Raises `BadInput` unless 0 <= holdout < train_images."""
    if not 0 <= holdout < train_images:
        raise BadInput(
            f"dataset.holdout={holdout} cannot be taken from {train_images} training images; "
            f"valid: 0 to {train_images - 1}"
        )
