"""Random crops, mirroring and normalisation of a batch at once: the law of torchvision's RandomCrop(padding),
RandomHorizontalFlip, ToTensor and Normalize, without a step per image."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """`mean`, `std`: of inputs in [0, 1], one number a channel or one for all. `crop_padding`: zeros around an image
    before a window of its size is cut out at random (0: no crop). `flip`: mirror each training image with
    probability 1/2."""

    mean: Sequence[float]
    std: Sequence[float]
    crop_padding: int
    flip: bool
    _constants: dict[torch.device, tuple[Tensor, Tensor]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """What chance decides for a batch of `count`: top, left and mirrored as `place` takes them, int64 (3, count).

        On the generator's device; its state determines every number.
        """
        draws = torch.zeros(3, count, dtype=torch.int64, device=generator.device)
        if self.crop_padding:
            draws[:2].random_(2 * self.crop_padding + 1, generator=generator)
        if self.flip:
            draws[2].random_(2, generator=generator)
        return draws

    def train(self, pixels: Tensor, draws: Tensor) -> Tensor:
        """The augmented, normalised batch, float32, of `pixels`, uint8 (n, channels, height, width).

        `draws`: (3, n) of `draw`, on the device of the pixels.
        """
        return self.test(self.place(pixels, draws[0], draws[1], draws[2]))

    def test(self, pixels: Tensor) -> Tensor:
        """The normalised batch, float32 (n, channels, height, width): (pixels / 255 - mean) / std."""
        if pixels.device not in self._constants:  # once: to put numbers on a GPU waits for it
            mean, std = (
                torch.tensor(values, dtype=torch.float32, device=pixels.device).view(-1, 1, 1)
                for values in (self.mean, self.std)
            )
            self._constants[pixels.device] = mean, std
        mean, std = self._constants[pixels.device]
        return pixels.to(torch.float32).div_(255).sub_(mean).div_(std)

    def place(self, pixels: Tensor, top: Tensor, left: Tensor, mirrored: Tensor) -> Tensor:
        """The windows of the zero-padded images at (`top`, `left`), then mirrored where `mirrored` is 1.

        `top`, `left`: int64 (n,), 0..2·crop_padding; `mirrored`: int64 (n,), 0 or 1. Returns uint8 like `pixels`.
        """
        if not len(pixels) or not (self.crop_padding or self.flip):
            return pixels
        count, channels, height, width = pixels.shape
        margin = self.crop_padding
        sheets = torch.stack((pixels, pixels.flip(-1))) if self.flip else pixels[None]
        sheets = F.pad(sheets, (margin, margin, margin, margin))  # (1 or 2, n, channels, tall, wide)
        tall, wide = sheets.shape[-2:]
        # The window at `left` of an image, mirrored, is the window at 2·margin - left of its mirror image.
        column = torch.where(mirrored == 1, 2 * margin - left, left)
        first = ((mirrored * count + torch.arange(count, device=pixels.device)) * channels * tall + top) * wide + column
        rows = torch.arange(channels, device=pixels.device)[:, None] * tall + torch.arange(height, device=pixels.device)
        start = first[:, None, None] + rows * wide  # (n, channels, height): where each row begins in memory
        # Every stretch of `width` pixels in memory, overlapping; copying whole rows is what makes this fast.
        stretches = sheets.view(-1).as_strided((sheets.numel() - width + 1, width), (1, 1))
        return stretches.index_select(0, start.view(-1)).view(pixels.shape)
