"""Images that can be learned and cost no file: a coarse random pattern for each class, blended with noise."""

import numpy as np
from numpy.typing import NDArray

from taunode.data.images import Images

CELLS = 4


def blended(count: int, classes: int, channels: int, size: int, noise: float, seed: int) -> Images:
    """`count` images, classes in turn: (1 - noise) · pattern of the class + noise · uniform bytes of `seed`.

    The patterns, of CELLS × CELLS squares, do not depend on `seed` (1, 2, …), so that a train and a test split are
    two seeds.
    """
    cell = -(-size // CELLS)
    squares = _random_bytes(0, (classes, channels, CELLS, CELLS))
    patterns = squares.repeat(cell, axis=2).repeat(cell, axis=3)[:, :, :size, :size]
    labels = np.arange(count, dtype=np.int64) % classes
    speckle = _random_bytes(seed, (count, channels, size, size))
    pixels = np.float32(1 - noise) * patterns[labels] + np.float32(noise) * speckle
    return Images(np.rint(pixels).astype(np.uint8), labels)


def _random_bytes(seed: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Uniform bytes from the bits of PCG64, which are fixed for ever (numpy's distributions are not)."""
    count = int(np.prod(shape))
    words = np.random.PCG64(seed).random_raw(-(-count // 8)).astype("<u8")
    return words.view(np.uint8)[:count].reshape(shape)
