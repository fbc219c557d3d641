"""Small data sets on disk, in the layouts that the package reads."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Tree = dict[str, Image.Image | bytes]


def picture(seed: int, size: tuple[int, int] = (6, 6), mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.fixture
def write_folder() -> Callable[[Path, Tree], Path]:
    def write(folder: Path, tree: Tree) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in tree.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                content.save(path)
        return folder

    return write


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., Path]:
    """Zips a folder, with or without entries for its directories."""

    def pack(folder: Path, to: Path, directories: bool = False, prefix: str = "") -> Path:
        with zipfile.ZipFile(to, "w") as packed:
            for path in sorted(folder.rglob("*"), reverse=True):
                if directories or path.is_file():
                    packed.write(path, prefix + path.relative_to(folder).as_posix())
        return to

    return pack


def class_tree(classes: tuple[str, ...] = ("cat", "dog"), images: int = 3, seed: int = 0) -> Tree:
    return {f"{name}/{k}.png": picture(seed + 100 * c + k) for c, name in enumerate(classes) for k in range(images)}


@pytest.fixture
def tree() -> Callable[..., Tree]:
    return class_tree


def idx(array: NDArray[Any]) -> bytes:
    lengths = b"".join(int(length).to_bytes(4, "big") for length in array.shape)
    return bytes([0, 0, 8, array.ndim]) + lengths + array.astype(np.uint8).tobytes()


@pytest.fixture(scope="session")
def mnist_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the four .gz files of a data set of MNIST's shape: image k shows k % 251, its label is k % 10."""
    folder = tmp_path_factory.mktemp("mnist")
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        numbers = np.arange(count)
        images = np.broadcast_to((numbers % 251)[:, None, None], (count, 28, 28))
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", numbers % 10)):
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array), compresslevel=1))
    return folder
