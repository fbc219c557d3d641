"""Images a second: `Augmentation` with `TrainLoader` on one thread, against torchvision's pipeline with two workers.

python benchmarks/augmentation.py    # 40 s on two cores; the ratio must be at least 5

Both give the batches (128) of one epoch of 50,000 images of 3 x 32 x 32 with random crops, mirroring and normalisation,
alternately in one process, so that a busy machine slows both. torchvision's workers start before the clock does.
"""

import argparse
import statistics
import time

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from taunode.data.augmentation import Augmentation
from taunode.data.images import Images
from taunode.data.loader import TrainLoader

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
BATCH = 128


class PerImage(Dataset[tuple[Tensor, int]]):
    """As torchvision's CIFAR10: an image at a time, through Pillow."""

    def __init__(self, images: Images) -> None:
        self.pixels: NDArray[np.uint8] = np.ascontiguousarray(images.pixels.transpose(0, 2, 3, 1))
        self.labels = images.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def rate(loader: TrainLoader | DataLoader[tuple[Tensor, int]]) -> float:
    """Images a second over one epoch, from the first batch's arrival on (so without starting workers)."""
    batches = iter(loader)
    next(batches)
    start = time.perf_counter()
    images = sum(len(labels) for _, labels in batches)
    return images / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=50_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    images = Images(
        random.integers(0, 256, (options.images, 3, 32, 32), dtype=np.uint8), random.integers(0, 10, options.images)
    )
    ours = TrainLoader(images, Augmentation(MEAN, STD, crop_padding=4, flip=True), BATCH, seed=0, device="cpu")
    theirs = DataLoader(PerImage(images), BATCH, shuffle=True, num_workers=2)
    rates: dict[str, list[float]] = {"taunode": [], "torchvision": []}
    for _ in range(options.rounds):
        rates["taunode"].append(rate(ours))
        rates["torchvision"].append(rate(theirs))
    for name, values in rates.items():
        each = ", ".join(f"{value:,.0f}" for value in values)
        print(f"{name:12} {statistics.mean(values):10,.0f} images/s (n={len(values)}: {each})")
    print(f"ratio        {statistics.mean(rates['taunode']) / statistics.mean(rates['torchvision']):10.1f}")


if __name__ == "__main__":
    main()
