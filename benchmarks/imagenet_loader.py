"""Images a second that 1 and 2 loader workers decode, against torchvision's ImageFolder and DataLoader alike.

python benchmarks/imagenet_loader.py    # a minute on two cores

500 made-up JPEGs of 500 × 375 pixels, as ImageNet's are, cut to 224 pixels at random; ours from a zip, torchvision's
from the folder. Each measurement is of one epoch after a first one, the two taking turns. Also: the index of a zip of
200,000 members, made and then kept (`--members 1281167`, as ImageNet has, takes minutes and 2 GB).
"""

import argparse
import statistics
import tempfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from taunode.data.augmentation import Augmentation
from taunode.data.folder import read_index
from taunode.data.kept_index import kept_index
from taunode.data.stream import StreamTrainLoader

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COUNT, BATCH, ROUNDS, MEMBERS = 500, 32, 3, 200_000


def write_images(folder: Path) -> None:
    """Smooth colours with some noise: about 60 kB each, between ImageNet's plain and busy ones."""
    random = np.random.default_rng(0)
    for number in range(COUNT):
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((500, 375))
        noise = random.integers(-12, 13, (375, 500, 3))
        path = folder / f"n{number % 10:08}" / f"{number}.JPEG"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((np.asarray(coarse) + noise).clip(0, 255).astype(np.uint8)).save(path, quality=90)


def seconds(batches: Iterable[object]) -> float:
    start = time.perf_counter()
    assert sum(1 for _ in batches) == -(-COUNT // BATCH)
    return time.perf_counter() - start


def compare(folder: Path, packed: Path, workers: int) -> None:
    steps = [
        transforms.RandomResizedCrop(224),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    theirs = DataLoader(
        datasets.ImageFolder(str(folder), transforms.Compose(steps)),
        BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=True,
    )
    files = read_index(packed).files
    ours = StreamTrainLoader(files, Augmentation(MEAN, STD, 0, True), 224, BATCH, 0, "cpu", workers=workers)
    seconds(theirs), seconds(ours)
    times = [(seconds(theirs), seconds(ours)) for _ in range(ROUNDS)]
    rates = [COUNT / statistics.median(each) for each in zip(*times, strict=True)]
    ratios = [theirs_took / ours_took for theirs_took, ours_took in times]
    print(
        f"{workers} workers: torchvision {rates[0]:.0f} images/s, ours {rates[1]:.0f}; "
        f"ratio {statistics.median(ratios):.2f} (rounds {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
    )


def index(folder: Path, members: int) -> None:
    packed = folder / "many.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for number in range(members):
            file.writestr(zipfile.ZipInfo(f"n{number % 1000:08}/n{number:08}.JPEG"), b"")
    times = []
    for _ in range(3):
        start = time.perf_counter()
        kept_index(packed, folder / "cache")
        times.append(time.perf_counter() - start)
    print(f"index of {members:,} members: made in {times[0]:.2f} s, kept: {1000 * times[-1]:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=MEMBERS)
    members = parser.parse_args().members
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        index(Path(directory), members)
        folder = Path(directory, "train")
        folder.mkdir()
        write_images(folder)
        packed = Path(directory, "train.zip")
        with zipfile.ZipFile(packed, "w") as file:
            for path in sorted(folder.rglob("*.JPEG")):
                file.write(path, path.relative_to(folder))
        for workers in (1, 2):
            compare(folder, packed, workers)


if __name__ == "__main__":
    main()
