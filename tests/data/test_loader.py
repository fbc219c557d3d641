import io
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from taunode.data import loader
from taunode.data.augmentation import Augmentation
from taunode.data.cache import cached
from taunode.data.images import Images
from taunode.data.loader import TrainLoader, loaders
from taunode.data.sets import Synthetic
from taunode.data.share import Share
from taunode.errors import BadInput

Batches = list[tuple[torch.Tensor, torch.Tensor]]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def images(count: int = 23) -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, 6, 6), dtype=np.uint8)
    return Images(pixels, np.arange(count, dtype=np.int64))


def train_loader(device: str = "cpu", seed: int = 0, count: int = 23) -> TrainLoader:
    return TrainLoader(images(count), Augmentation([0.5], [0.25], 1, True), batch_size=5, seed=seed, device=device)


def equal(first: Batches, second: Batches) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a, b) for pair in zip(first, second, strict=True) for a, b in zip(*pair, strict=True)
    )


@pytest.mark.parametrize("device", DEVICES)
def test_epoch_is_every_image_once_in_a_new_order(device: str) -> None:
    train = train_loader(device)
    assert len(train) == 5
    assert train.samples == 23
    epochs = [list(train) for _ in range(2)]
    orders = [torch.cat([labels for _, labels in epoch]) for epoch in epochs]
    for epoch, order in zip(epochs, orders, strict=True):
        assert [len(labels) for _, labels in epoch] == [5, 5, 5, 5, 3]
        assert [inputs.shape for inputs, _ in epoch][-1] == (3, 3, 6, 6)
        assert {inputs.dtype for inputs, _ in epoch} == {torch.float32}
        assert order.sort().values.tolist() == list(range(23))
    assert not torch.equal(*orders)


def test_seed_determines_the_batches() -> None:
    first, again, other = (list(train_loader(seed=seed)) for seed in (1, 1, 2))
    assert equal(first, again)
    assert not equal(first, other)


def test_labels_stay_with_their_images() -> None:
    train = TrainLoader(images(), Augmentation([0.0], [1 / 255], 0, False), batch_size=4, seed=0, device="cpu")
    for inputs, labels in train:
        assert (inputs.round().to(torch.uint8).numpy() == images().pixels[labels.numpy()]).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("cut", range(11))
def test_resumed_is_uninterrupted(device: str, cut: int) -> None:
    """Cut after any batch of two epochs, the state saved and loaded as a checkpoint is."""
    whole = train_loader(device)
    epochs: list[Batches] = [list(whole) for _ in range(3)]

    train, taken = train_loader(device), 0
    file = io.BytesIO()
    for _ in range(2):
        for _ in train:
            taken += 1
            if taken == cut:
                break
        if taken == cut:
            break
    torch.save(train.state_dict(), file)
    for _ in train:  # what happens after the save does not matter
        break
    file.seek(0)
    resumed = train_loader(device, seed=99)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    rest: list[Batches] = [list(resumed) for _ in range(2)]
    if cut == 0:  # two epochs went by whole
        assert equal(rest[0], epochs[2])
    else:
        epoch, position = divmod(cut - 1, 5)
        assert equal(rest[0], epochs[epoch][position + 1 :])
        assert equal(rest[1], epochs[epoch + 1])


def test_state_between_two_epochs_begins_the_next() -> None:
    train = train_loader()
    list(train)
    state = train.state_dict()
    resumed = train_loader(seed=5)
    resumed.load_state_dict(state)
    assert len(list(resumed)) == 5
    resumed.load_state_dict(state)
    assert equal(list(resumed), list(train))


def test_another_process_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    train = train_loader()
    batches = iter(train)
    next(batches)
    torch.save(train.state_dict(), tmp_path / "state.pt")
    code = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from test_loader import train_loader
torch.set_num_threads(1)
train = train_loader(seed=7)
train.load_state_dict(torch.load(sys.argv[2] + "/state.pt", weights_only=True))
torch.save(list(train), sys.argv[2] + "/rest.pt")
"""
    subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)], check=True)
    assert equal(torch.load(tmp_path / "rest.pt"), list(batches))


def test_state_of_other_data_is_refused() -> None:
    other = train_loader(count=24)
    next(iter(other))
    with pytest.raises(BadInput, match="the state is of 24 training images, the data set has 23"):
        train_loader().load_state_dict(other.state_dict())
    state = train_loader().state_dict() | {"generator": torch.zeros(16, dtype=torch.uint8)}
    with pytest.raises(BadInput, match="drawn on a GPU"):
        train_loader().load_state_dict(state)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batch_size_out_of_range(batch_size: int) -> None:
    with pytest.raises(BadInput, match=f"batch_size={batch_size}; valid: 1"):
        TrainLoader(images(), Augmentation([0.5], [0.25], 0, False), batch_size, seed=0, device="cpu")


@pytest.mark.parametrize("device", DEVICES)
def test_evaluation_is_in_order_and_not_augmented(device: str) -> None:
    test = loader.TestLoader(images(), Augmentation([0.0], [1.0], 2, True), 10, device)
    assert len(test) == 3
    assert test.samples == 23
    for _ in range(2):
        inputs, labels = (torch.cat(parts).cpu() for parts in zip(*test, strict=True))
        assert labels.tolist() == list(range(23))
        assert torch.equal(inputs, torch.from_numpy(images().pixels) / 255)


def made(holdout: int) -> Synthetic:
    return Synthetic(
        name="synthetic",
        channels=3,
        image_size=6,
        classes=4,
        mean=[0.5],
        std=[0.25],
        crop_padding=1,
        flip=True,
        holdout=holdout,
        train_images=40,
        test_images=20,
        noise=0.5,
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_shares_together_are_what_one_process_sees(device: str, world: int, tmp_path: Path) -> None:
    """Two epochs and the evaluation, the last batch (4 of 6, fewer than processes) included; the second epoch is cut
    and resumed by processes that did not begin it."""
    dataset = made(holdout=0)
    splits = dataset.load(tmp_path, tmp_path)

    def team() -> list[tuple[TrainLoader, dict[str, loader.TestLoader]]]:
        return [loaders(dataset, splits, 6, 3, device, Share(rank, world)) for rank in range(world)]

    alone, tests = loaders(dataset, splits, 6, 3, device)
    first = team()
    assert equal(list(alone), joined([train for train, _ in first]))
    for train, _ in first:
        next(iter(train))
    resumed = team()
    for (train, _), (before, _) in zip(resumed, first, strict=True):
        assert len(train) == len(alone)
        assert train.samples == alone.samples
        train.load_state_dict(before.state_dict())
    assert equal(list(alone)[1:], joined([train for train, _ in resumed]))
    assert equal(list(tests["test"]), joined([each["test"] for _, each in resumed]))


def joined(shares: Sequence[Iterable[tuple[torch.Tensor, torch.Tensor]]]) -> Batches:
    """The batches of all processes, put together."""
    return [
        (torch.cat([inputs for inputs, _ in parts]), torch.cat([labels for _, labels in parts]))
        for parts in zip(*shares, strict=True)
    ]


def test_loaders_of_a_data_set(tmp_path: Path) -> None:
    for holdout, expected in ((0, {"test": 20}), (10, {"test": 20, "validation": 10})):
        dataset = made(holdout)
        train, evaluated = loaders(dataset, dataset.load(tmp_path, tmp_path), 8, seed=0, device="cpu")
        assert train.samples == 40 - holdout
        assert {name: each.samples for name, each in evaluated.items()} == expected


@pytest.mark.filterwarnings("error")
def test_mapped_and_unwritable_arrays_are_taken(tmp_path: Path) -> None:
    whole = images()
    mapped = cached(tmp_path, "key", lambda: {"pixels": whole.pixels, "labels": whole.labels})
    frozen = images()
    frozen.pixels.flags.writeable = False
    augmentation = Augmentation([0.5], [0.25], 1, True)
    batches = [
        list(TrainLoader(each, augmentation, 5, 0, "cpu"))
        for each in (whole, Images(mapped["pixels"], mapped["labels"]), frozen)
    ]
    assert equal(batches[0], batches[1])
    assert equal(batches[0], batches[2])
