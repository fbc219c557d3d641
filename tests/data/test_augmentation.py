from collections.abc import Iterator

import pytest
import torch
from torchvision.transforms import functional as reference

from taunode.data.augmentation import Augmentation

MEAN, STD = (0.49, 0.48, 0.44), (0.20, 0.19, 0.21)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def images(count: int, channels: int = 3, height: int = 7, width: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_law_is_torchvisions(padding: int, flip: bool, channels: int) -> None:
    """For every offset, mirrored or not: pad, crop, flip, to tensor and normalise, one image at a time."""
    steps = range(2 * padding + 1)
    draws = [(top, left, mirror) for top in steps for left in steps for mirror in ((0, 1) if flip else (0,))]
    pixels = images(len(draws), channels)
    augmentation = Augmentation(MEAN[:channels], STD[:channels], padding, flip)
    found = augmentation.test(augmentation.place(pixels, *torch.tensor(draws).unbind(1)))
    for image, (top, left, mirror), result in zip(pixels, draws, found, strict=True):
        expected = reference.to_pil_image(image)
        expected = reference.crop(reference.pad(expected, [padding] * 4), top, left, 7, 5)
        expected = reference.hflip(expected) if mirror else expected
        expected = reference.normalize(reference.to_tensor(expected), MEAN[:channels], STD[:channels])
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


def test_draws_are_uniform_and_independent() -> None:
    count, padding = 40_000, 1
    pixels = torch.zeros(count, 1, 2, 2, dtype=torch.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1], pixels[:, 0, 1, 0], pixels[:, 0, 1, 1] = 1, 2, 3, 4
    augmentation = Augmentation([0.0], [1 / 255], padding, True)
    augmented = augmentation.train(pixels, augmentation.draw(count, torch.Generator().manual_seed(0)))
    seen, counts = augmented.round().to(torch.int64).flatten(1).unique(dim=0, return_counts=True)
    assert len(seen) == 18  # 3 × 3 windows, mirrored or not, of an image with four different pixels
    assert counts.sum() == count
    chi_squared = ((counts - count / 18) ** 2 / (count / 18)).sum().item()
    assert chi_squared < 40.8  # 17 degrees of freedom: exceeded with probability 0.001


def test_generator_determines_every_bit() -> None:
    augmentation = Augmentation(MEAN, STD, 2, True)
    generator = torch.Generator().manual_seed(3)
    state = generator.get_state()
    first, second = (augmentation.draw(50, generator) for _ in range(2))
    generator.set_state(state)
    assert torch.equal(augmentation.draw(50, generator), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("part", [slice(0, 20), slice(20, 50), slice(7, 7)])
def test_part_of_a_batch_is_augmented_as_in_the_whole(part: slice) -> None:
    pixels, augmentation = images(50), Augmentation(MEAN, STD, 2, True)
    draws = augmentation.draw(50, torch.Generator().manual_seed(3))
    assert torch.equal(augmentation.train(pixels[part], draws[:, part]), augmentation.train(pixels, draws)[part])


def test_nothing_asked_for_is_normalisation_alone() -> None:
    pixels = images(4)
    before = pixels.clone()
    plain = Augmentation([0.0], [1.0], 0, False)
    assert torch.equal(plain.train(pixels, plain.draw(4, torch.Generator())), pixels / 255)
    assert torch.equal(plain.test(pixels), pixels / 255)
    assert plain.test(pixels).dtype == torch.float32
    assert torch.equal(pixels, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_places_as_the_cpu_does() -> None:
    pixels, augmentation = images(100), Augmentation(MEAN, STD, 2, True)
    draws = torch.randint(5, (2, 100)), torch.randint(2, (1, 100))
    top, left, mirrored = (*draws[0], *draws[1])
    on_gpu = augmentation.place(pixels.cuda(), top.cuda(), left.cuda(), mirrored.cuda())
    assert torch.equal(on_gpu.cpu(), augmentation.place(pixels, top, left, mirrored))
