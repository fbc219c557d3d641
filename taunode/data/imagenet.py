"""ImageNet, or any photographs in class folders: of any size, too many for memory, decoded while a network trains."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from taunode.data.dataset import DataSet
from taunode.data.decode import converted, open_image
from taunode.data.files import reading
from taunode.data.folder import Index, fingerprint, read_index, read_splits
from taunode.data.images import Splits, split
from taunode.data.kept_index import kept_index
from taunode.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Imagenet(DataSet):
    """Folders or zips of class folders of images of any size, which become RGB.

    `train`: a folder or zip, absolute or within the data root, with or without its `.zip`. `test`: the same; null is
    the first of validation, val and test beside `train`. `image_size`: of what the network sees, a random part of an
    image to train, the middle of it to test (taunode/data/crop.py).
    """

    top5: ClassVar[bool] = True

    image_size: int
    train: str
    test: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop_padding:
            raise BadInput(f"dataset.crop_padding={self.crop_padding}; valid: 0: random parts are cut out instead")

    def facts(self, root: Path, cache: Path | None = None) -> dict[str, Any]:
        """Also `train` and `test` as absolute paths. Lists all files; where the `cache` keeps their index it only looks
        whether one of them has been overwritten since."""
        return self._look(root, cache, thorough=True)[1]

    def prepare(self, root: Path, cache: Path | None = None) -> None:
        """Opens one image of each split: to open all would take an hour."""
        for index in self._look(root, cache)[0]:
            with reading(index.source) as read:
                title = index.files.title(0)
                converted(open_image(read, title, index.files.file(0)), title, "RGB")

    def load(self, root: Path, cache: Path) -> Splits:
        train, test = self._look(root, cache)[0]
        return split(train.files, test.files, self.holdout)

    def _look(self, root: Path, cache: Path | None, thorough: bool = False) -> tuple[list[Index], dict[str, Any]]:
        read = read_index if cache is None else partial(kept_index, cache=cache, thorough=thorough)
        indexes = read_splits(root, self.train, self.test, read)
        train, test = indexes
        facts = self._agreed(
            channels=3,
            image_size=self.image_size,
            classes=len(train.classes),
            train_images=len(train.files),
            fingerprint=fingerprint(indexes),
        )
        return indexes, facts | {"train": str(train.source), "test": str(test.source)}
