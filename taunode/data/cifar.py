"""The files of CIFAR-10 and CIFAR-100 as torchvision lays them out, and reading them through it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taunode.data.cache import Arrays
from taunode.errors import BadInput


@dataclass(frozen=True)
class Source:
    """`kind`: torchvision's class; `files`: how many images each file in `folder` holds."""

    kind: str
    folder: str
    archive: str
    classes: int
    files: dict[str, int]

    def missing(self, root: Path) -> list[str]:
        """The files that are not there, or are cut: a whole file is longer than the pixels in it."""
        paths = {name: root / self.folder / name for name in self.files}
        return [
            name
            for name, path in paths.items()
            if not path.is_file() or path.stat().st_size <= self.files[name] * 3 * 32 * 32
        ]

    def read(self, root: Path) -> Arrays:
        """`train_pixels`, `train_labels`, `test_pixels`, `test_labels`; `BadInput` if absent or a checksum is wrong."""
        from torchvision import datasets

        arrays: Arrays = {}
        for part in ("train", "test"):
            try:
                data = getattr(datasets, self.kind)(root, train=part == "train")
            except RuntimeError as fault:
                raise BadInput(
                    f"{self.kind} is not in {root / self.folder}, or its checksums are wrong; remove what is there and "
                    f"put the contents of {self.archive} there, or set runtime.data_root"
                ) from fault
            arrays[f"{part}_pixels"] = np.ascontiguousarray(data.data.transpose(0, 3, 1, 2))
            arrays[f"{part}_labels"] = np.asarray(data.targets, np.int64)
        return arrays


SOURCES = {
    source.kind: source
    for source in (
        Source(
            "CIFAR10",
            "cifar-10-batches-py",
            "cifar-10-python.tar.gz",
            classes=10,
            files={**{f"data_batch_{k}": 10_000 for k in range(1, 6)}, "test_batch": 10_000, "batches.meta": 0},
        ),
        Source(
            "CIFAR100",
            "cifar-100-python",
            "cifar-100-python.tar.gz",
            classes=100,
            files={"train": 50_000, "test": 10_000, "meta": 0},
        ),
    )
}
