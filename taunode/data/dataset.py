"""The family of data sets: each says at planning what it is, fetches what is missing, and loads its arrays."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from taunode.data.images import Splits, check_holdout
from taunode.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class DataSet(ABC):
    """What every data set's configuration holds; the fields are the keys of `conf/dataset/*.yaml`.

    `channels`, `image_size` (height = width, pixels) and `classes`: null takes the data's own, another value must
    agree with it. `mean` and `std` of the inputs scaled to [0, 1]: one number a channel, or one for all.
    `crop_padding`: random crops of the image padded with so many zeros on each side (0: none). `flip`: half of the
    training images are mirrored. `holdout`: so many training images become the validation split (0: there is none).
    `fingerprint` stands for the data in a run's signature; `facts` fills it in. Raises `BadInput` for values that no
    data could agree with.
    """

    top5: ClassVar[bool] = False  # whether the error of the five best answers is reported, too

    name: str
    channels: int | None
    image_size: int | None
    classes: int | None
    mean: list[float]
    std: list[float]
    crop_padding: int
    flip: bool
    holdout: int
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        for key in ("channels", "image_size", "classes"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise BadInput(f"dataset.{key}={value}; valid: 1, 2, … or null")
        if self.crop_padding < 0:
            raise BadInput(f"dataset.crop_padding={self.crop_padding}; valid: 0, 1, … pixels")
        if not self.std or min(self.std) <= 0:
            raise BadInput(f"dataset.std={self.std}; valid: positive numbers, one a channel or one for all")

    @abstractmethod
    def facts(self, root: Path, cache: Path | None = None) -> dict[str, Any]:
        """What completes the configuration when a run is planned: channels, image_size, classes, fingerprint.

        Quick: nothing is downloaded or decoded. `root`: the data root; `cache`: the folder that keeps the index of
        large data sets. Raises `BadInput` when the configuration does not fit the data.
        """

    def prepare(self, root: Path, cache: Path | None = None) -> None:
        """Makes everything ready that `load` needs, once, before any run is written.

        Downloads what is missing under `root`, and checks the data: whole if they will lie in memory. `cache`: the
        folder that keeps decoded images. Raises `BadInput` when the data cannot be had or are damaged.
        """
        self.facts(root, cache)

    def to_download(self, root: Path) -> int:
        """How many megabytes `prepare` would download."""
        return 0

    @abstractmethod
    def load(self, root: Path, cache: Path) -> Splits:
        """The images, or the files they are in; downloads nothing. Raises `BadInput` as `facts` and `prepare` do."""

    def _agreed(
        self, *, channels: int, image_size: int, classes: int, train_images: int, fingerprint: str
    ) -> dict[str, Any]:
        """The facts, after checking that the configuration agrees with them."""
        facts = {"channels": channels, "image_size": image_size, "classes": classes, "fingerprint": fingerprint}
        for key, value in facts.items():
            if getattr(self, key) not in (None, value):
                changed = " (not the data the run was planned with)" if key == "fingerprint" else ""
                raise BadInput(f"dataset.{key}={getattr(self, key)}, but the data of {self.name} have {value}{changed}")
        for key in ("mean", "std"):
            if len(getattr(self, key)) not in (1, channels):
                raise BadInput(
                    f"dataset.{key}={getattr(self, key)} has {len(getattr(self, key))} numbers; valid: 1, "
                    f"or {channels} (one a channel)"
                )
        check_holdout(self.holdout, train_images)
        return facts
