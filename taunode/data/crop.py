"""The part of an image, of any size, that a network sees: the law of torchvision's RandomResizedCrop and
RandomHorizontalFlip to train, of Resize and CenterCrop to test.

With Pillow's bilinear filter, which smooths where it shrinks. Chance enters as numbers that were drawn elsewhere.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image
from PIL.Image import Resampling, Transpose

AREA = (0.08, 1.0)  # of the image's
RATIO = (3 / 4, 4 / 3)  # width : height
ATTEMPTS = 10
DRAWS = 2 * ATTEMPTS + 3  # of an image: areas, ratios, top, left, whether it is mirrored


class Box(NamedTuple):
    """A part of an image, in pixels."""

    left: int
    top: int
    width: int
    height: int


def random_box(draws: Sequence[float], width: int, height: int) -> Box:
    """A box of uniform area and log-uniform ratio anywhere in an image of `width` × `height` pixels.

    The first of `ATTEMPTS` that fits; else the largest central box whose ratio is allowed. `draws`: DRAWS numbers,
    uniform in [0, 1).
    """
    low, high = (math.log(ratio) for ratio in RATIO)
    for area_draw, ratio_draw in zip(draws[:ATTEMPTS], draws[ATTEMPTS : 2 * ATTEMPTS], strict=True):
        area = width * height * (AREA[0] + (AREA[1] - AREA[0]) * area_draw)
        ratio = math.exp(low + (high - low) * ratio_draw)
        wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            top, left = draws[2 * ATTEMPTS : 2 * ATTEMPTS + 2]
            return Box(int(left * (width - wide + 1)), int(top * (height - tall + 1)), wide, tall)
    wide, tall = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
    return Box((width - wide) // 2, (height - tall) // 2, wide, tall)


def train_view(image: Image.Image, draws: Sequence[float], size: int, flip: bool) -> Image.Image:
    """A random box of the image, resized to `size` × `size` pixels and, if `flip`, mirrored with probability 1/2."""
    left, top, width, height = random_box(draws, *image.size)
    view = image.crop((left, top, left + width, top + height)).resize((size, size), Resampling.BILINEAR)
    return view.transpose(Transpose.FLIP_LEFT_RIGHT) if flip and draws[-1] < 0.5 else view


def test_view(image: Image.Image, size: int) -> Image.Image:
    """The central `size` × `size` pixels of the image after its shorter side was resized to size · 256/224."""
    short = round(size * 256 / 224)
    width, height = (short * side // min(image.size) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.resize((width, height), Resampling.BILINEAR).crop((left, top, left + size, top + size))
