"""Batches of a data set that lies whole on the device, in an order that can be cut after any batch and resumed."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taunode.data.augmentation import Augmentation
from taunode.data.dataset import DataSet
from taunode.data.files import Files
from taunode.data.images import Images, Splits
from taunode.data.share import ALONE, Share
from taunode.errors import BadInput

if TYPE_CHECKING:
    from taunode.data.stream import StreamTestLoader, StreamTrainLoader


class TrainLoader:
    """Augmented batches in a new random order each epoch; the last batch of an epoch may be smaller.

    Iterating yields `(inputs, labels)`, float32 (n, channels, height, width) and int64 (n,), for the rest of the
    epoch that is under way, and then stops; the next iteration begins a new epoch. One generator on the CPU, seeded
    with `seed`, gives both the order and the augmentation, whatever the device.

    Of several processes each gets its `share` of every batch. All draw for the whole batch, so that together they see
    what one process alone sees; length, position and `samples` are those of the whole.
    """

    def __init__(
        self,
        images: Images,
        augmentation: Augmentation,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        share: Share = ALONE,
    ) -> None:
        self.batch_size = checked_batch_size(batch_size)
        self.samples = len(images)
        self._share = share
        self._augmentation = augmentation
        self._pixels = _on_device(images.pixels, device)
        self._labels = _on_device(images.labels, device)
        self._generator = torch.Generator().manual_seed(seed)
        self._order = self._no_order()
        self._position = 0  # images of the epoch that have been handed out

    def __len__(self) -> int:
        """Batches in a whole epoch."""
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if not len(self._order):
            self._order = torch.randperm(self.samples, generator=self._generator)
        while self._position < self.samples:
            chosen = self._order[self._position : self._position + self.batch_size]
            draws = self._augmentation.draw(len(chosen), self._generator)
            # Before the batch is handed out: whoever holds it counts it as done when the state is saved.
            self._position += len(chosen)
            part = self._share.of(len(chosen))
            mine = self._sent(chosen[part])
            yield self._augmentation.train(self._pixels[mine], self._sent(draws[:, part])), self._labels[mine]
        self._order, self._position = self._no_order(), 0

    def state_dict(self) -> dict[str, Any]:
        """Order (empty between two epochs), position in it, and generator, such that iterating goes on bit for bit.

        After an epoch's last batch but before its iteration has ended, the epoch is still under way: its rest is
        no batch.
        """
        # A copy: torch.save writes the state while later batches may already be drawn.
        return {
            "order": self._order.clone(),
            "position": self._position,
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state`; raises `BadInput` when it is of another data set, or the first release wrote it on
        a GPU."""
        if len(state["order"]) not in (0, self.samples):
            raise BadInput(f"the state is of {len(state['order'])} training images, the data set has {self.samples}")
        if len(state["generator"]) != len(self._generator.get_state()):
            raise BadInput("the state's random numbers were drawn on a GPU, now they are drawn on the CPU")
        self._order = state["order"]
        self._position = state["position"]
        self._generator.set_state(state["generator"])

    def _sent(self, drawn: Tensor) -> Tensor:
        """On the device of the pixels, without waiting for it."""
        if self._pixels.device.type != "cuda":
            return drawn.to(self._pixels.device)
        return drawn.contiguous().pin_memory().to(self._pixels.device, non_blocking=True)

    @staticmethod
    def _no_order() -> Tensor:
        return torch.empty(0, dtype=torch.int64)


class TestLoader:
    """All images in order, normalised and not augmented, in batches like those of `TrainLoader`."""

    def __init__(
        self,
        images: Images,
        augmentation: Augmentation,
        batch_size: int,
        device: torch.device | str,
        share: Share = ALONE,
    ) -> None:
        self.batch_size = checked_batch_size(batch_size)
        self.samples = len(images)
        self._share = share
        self._augmentation = augmentation
        self._pixels = _on_device(images.pixels, device)
        self._labels = _on_device(images.labels, device)

    def __len__(self) -> int:
        """Batches."""
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, self.samples, self.batch_size):
            part = self._share.of(min(self.batch_size, self.samples - start))
            mine = slice(start + part.start, start + part.stop)
            yield self._augmentation.test(self._pixels[mine]), self._labels[mine]


def loaders(
    dataset: DataSet,
    splits: Splits,
    batch_size: int,
    seed: int,
    device: torch.device | str,
    share: Share = ALONE,
    workers: int = 0,
) -> tuple["TrainLoader | StreamTrainLoader", Mapping[str, "TestLoader | StreamTestLoader"]]:
    """The training loader, and those to evaluate with: "test" and, where images are held out, "validation".

    `workers`: processes that decode images which do not lie in memory (0: this process decodes them).
    """
    from taunode.data.stream import StreamTestLoader, StreamTrainLoader

    augmentation = Augmentation(dataset.mean, dataset.std, dataset.crop_padding, dataset.flip)
    size = dataset.image_size or 0  # null only for images in memory, which have a size

    def train(part: Images | Files) -> TrainLoader | StreamTrainLoader:
        if isinstance(part, Images):
            return TrainLoader(part, augmentation, batch_size, seed, device, share)
        return StreamTrainLoader(part, augmentation, size, batch_size, seed, device, share, workers)

    def test(part: Images | Files) -> TestLoader | StreamTestLoader:
        if isinstance(part, Images):
            return TestLoader(part, augmentation, batch_size, device, share)
        return StreamTestLoader(part, augmentation, size, batch_size, device, share, workers)

    tests = {"test": test(splits.test)}
    if splits.validation is not None:
        tests["validation"] = test(splits.validation)
    return train(splits.train), tests


def checked_batch_size(batch_size: int) -> int:
    if batch_size < 1:
        raise BadInput(f"batch_size={batch_size}; valid: 1, 2, …")
    return batch_size


def _on_device(array: NDArray[Any], device: torch.device | str) -> Tensor:
    # A tensor over memory that cannot be written would be undefined behaviour: such arrays are copied.
    return torch.from_numpy(np.require(array, requirements="W")).to(device)
