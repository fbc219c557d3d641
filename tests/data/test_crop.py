from collections.abc import Iterator

import numpy as np
import pytest
import torch
from data.conftest import picture
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as reference

from taunode.data import crop
from taunode.data.crop import ATTEMPTS, DRAWS, Box, random_box, train_view

SIZES = [(97, 64), (64, 97), (80, 80), (31, 7), (400, 20), (20, 400), (1, 1), (3, 500)]


class Fed:
    """Gives torchvision's own code the numbers that ours gets, in the order in which it asks for them."""

    def __init__(self, draws: list[float]) -> None:
        attempts = zip(draws[:ATTEMPTS], draws[ATTEMPTS : 2 * ATTEMPTS], strict=True)
        self._uniform: Iterator[float] = iter([draw for attempt in attempts for draw in attempt])
        self._place = iter(draws[2 * ATTEMPTS :])

    def uniform_(self, tensor: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return torch.tensor([low + (high - low) * next(self._uniform)], dtype=torch.float64)

    def randint(self, low: int, high: int, size: tuple[int]) -> torch.Tensor:
        return torch.tensor([low + int(next(self._place) * (high - low))])


def theirs(width: int, height: int, draws: list[float], patch: pytest.MonkeyPatch) -> Box:
    fed = Fed(draws)
    with patch.context() as patched:
        patched.setattr(torch.Tensor, "uniform_", lambda tensor, low, high: fed.uniform_(tensor, low, high))
        patched.setattr(torch, "randint", lambda low, high, size: fed.randint(low, high, size))
        law = v2.RandomResizedCrop(8)
        found = law.make_params([Image.new("L", (width, height))])
    return Box(found["left"], found["top"], found["width"], found["height"])


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_box_is_torchvisions_for_the_same_numbers(width: int, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for draws in np.random.default_rng(width).random((200, DRAWS), dtype=np.float32).tolist():
        assert random_box(draws, width, height) == theirs(width, height, draws, monkeypatch)


@pytest.mark.parametrize("edge", [0.0, 1 - 2**-24])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_box_lies_within_the_image(width: int, height: int, edge: float) -> None:
    for draws in np.random.default_rng(1).random((200, DRAWS)).tolist():
        left, top, wide, tall = random_box([*draws[: 2 * ATTEMPTS], edge, edge, 0.0], width, height)
        assert 0 <= left <= left + wide <= width
        assert 0 <= top <= top + tall <= height
        assert wide > 0 < tall


@pytest.mark.parametrize("size", [8, 50])
@pytest.mark.parametrize(("width", "height"), [(97, 64), (64, 97), (31, 7)])
def test_train_view_is_torchvisions_of_the_same_box(width: int, height: int, size: int) -> None:
    image = picture(0, (width, height))
    for draws in np.random.default_rng(2).random((20, DRAWS)).tolist():
        box = random_box(draws, width, height)
        expected = reference.resized_crop(
            image, box.top, box.left, box.height, box.width, [size, size], InterpolationMode.BILINEAR, antialias=True
        )
        assert same(train_view(image, draws, size, flip=False), expected)
        mirrored = reference.horizontal_flip(expected) if draws[-1] < 0.5 else expected
        assert same(train_view(image, draws, size, flip=True), mirrored)


@pytest.mark.parametrize("size", [7, 32, 64, 224])
@pytest.mark.parametrize(("width", "height"), [(97, 64), (64, 97), (80, 80), (31, 7), (300, 256), (73, 101)])
def test_test_view_is_torchvisions(width: int, height: int, size: int) -> None:
    image = picture(1, (width, height))
    law = v2.Compose([v2.Resize(round(size * 256 / 224), antialias=True), v2.CenterCrop(size)])
    assert same(crop.test_view(image, size), law(image))


def test_paper_sizes() -> None:
    assert crop.test_view(Image.new("L", (500, 375)), 224).size == (224, 224)
    assert round(224 * 256 / 224) == 256


def test_half_of_the_views_are_mirrored() -> None:
    image = Image.fromarray(np.array([[0, 255]], np.uint8).repeat(2, axis=0))
    draws = np.random.default_rng(3).random((4000, DRAWS))
    draws[:, : 2 * ATTEMPTS] = 1 - 1e-9, *[0.5] * (2 * ATTEMPTS - 1)
    mirrored = sum(train_view(image, numbers.tolist(), 2, True).getpixel((0, 0)) == 255 for numbers in draws)
    assert mirrored == pytest.approx(2000, abs=4 * 32)  # four standard deviations


def same(first: Image.Image, second: Image.Image) -> bool:
    return np.array_equal(np.asarray(first), np.asarray(second))
