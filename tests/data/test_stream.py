import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from data.conftest import picture

from taunode.data import crop, stream
from taunode.data.augmentation import Augmentation
from taunode.data.crop import train_view
from taunode.data.files import Files
from taunode.data.folder import read_index
from taunode.data.share import ALONE, Share
from taunode.data.stream import StreamTrainLoader
from taunode.errors import BadInput

Batches = list[tuple[torch.Tensor, torch.Tensor]]
AUGMENTATION = Augmentation([0.5, 0.4, 0.3], [0.25, 0.2, 0.3], 0, True)
SIZE, BATCH, COUNT = 8, 4, 14


@pytest.fixture
def files(tmp_path: Path, write_folder: Callable, pack: Callable) -> Files:
    """14 images of two classes, each of another size."""
    images = {f"{'cat' if k < 5 else 'dog'}/{k:02}.png": picture(k, (9 + k, 20 - k)) for k in range(COUNT)}
    return read_index(pack(write_folder(tmp_path / "train", images), tmp_path / "train.zip")).files


def train(files: Files, workers: int = 0, seed: int = 0, share: Share = ALONE) -> StreamTrainLoader:
    return StreamTrainLoader(files, AUGMENTATION, SIZE, BATCH, seed, "cpu", share, workers)


def evaluation(files: Files, workers: int = 0, share: Share = ALONE) -> stream.StreamTestLoader:
    return stream.StreamTestLoader(files, AUGMENTATION, SIZE, BATCH, "cpu", share, workers)


def equal(first: Batches, second: Batches) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a, b) for pair in zip(first, second, strict=True) for a, b in zip(*pair, strict=True)
    )


def test_epoch_is_every_image_once_in_a_new_order(files: Files) -> None:
    loader = train(files)
    assert (len(loader), loader.samples) == (4, COUNT)
    epochs = [list(loader) for _ in range(3)]
    for epoch in epochs:
        assert [len(labels) for _, labels in epoch] == [4, 4, 4, 2]
        assert {inputs.shape[1:] for inputs, _ in epoch} == {(3, SIZE, SIZE)}
        assert {(inputs.dtype, labels.dtype) for inputs, labels in epoch} == {(torch.float32, torch.int64)}
        assert torch.cat([labels for _, labels in epoch]).bincount().tolist() == [5, 9]
    assert not equal(epochs[0], epochs[1])
    assert not equal(epochs[1], epochs[2])


def test_batch_is_the_views_of_its_images(files: Files) -> None:
    """The one order and the draws are those of the generator; images and labels belong together."""
    generator = torch.Generator().manual_seed(5)
    order = torch.randperm(COUNT, generator=generator)
    draws = torch.rand(BATCH, crop.DRAWS, generator=generator)
    inputs, labels = next(iter(train(files, seed=5)))
    for row, numbers, found, label in zip(order, draws, inputs, labels, strict=False):
        k = int(row)
        view = train_view(picture(k, (9 + k, 20 - k)), numbers.tolist(), SIZE, flip=True)
        expected = AUGMENTATION.test(torch.from_numpy(np.array(view).transpose(2, 0, 1))[None])[0]
        assert torch.equal(found, expected)
        assert label == (k >= 5)


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_no_bit(files: Files, workers: int) -> None:
    alone, helped = train(files), train(files, workers)
    for _ in range(2):
        assert equal(list(alone), list(helped))
    assert equal(list(evaluation(files)), list(evaluation(files, workers)))


def test_global_generator_is_left_alone(files: Files) -> None:
    before = torch.get_rng_state()
    for workers in (0, 1):
        list(train(files, workers))
        list(evaluation(files, workers))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("workers", "later"), [(0, 0), (0, 2), (2, 0)])
@pytest.mark.parametrize("cut", range(9))
def test_resumed_is_uninterrupted(files: Files, cut: int, workers: int, later: int) -> None:
    """Cut after any batch of two epochs, whatever was decoded ahead; the state saved and loaded as a checkpoint is."""
    whole = train(files)
    epochs: list[Batches] = [list(whole) for _ in range(3)]
    loader, taken = train(files, workers), 0
    for _ in range(2):
        for _ in loader:
            taken += 1
            if taken == cut:
                break
        if taken == cut:
            break
    file = io.BytesIO()
    torch.save(loader.state_dict(), file)
    for _ in loader:  # what happens after the save does not matter
        break
    file.seek(0)
    resumed = train(files, later, seed=99)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    rest: list[Batches] = [list(resumed) for _ in range(2)]
    if cut == 0:  # two epochs went by whole
        assert equal(rest[0], epochs[2])
    else:
        epoch, position = divmod(cut - 1, 4)
        assert equal(rest[0], epochs[epoch][position + 1 :])
        assert equal(rest[1], epochs[epoch + 1])


@pytest.mark.parametrize("workers", [0, 2])
def test_left_epoch_goes_on_with_its_rest(files: Files, workers: int) -> None:
    whole, loader = list(train(files)), train(files, workers)
    found: Batches = []
    for stop in (1, 2, 5):
        for batch in loader:
            found.append(batch)
            if len(found) == stop:
                break
    assert equal(found, whole)


def test_state_of_other_data_is_refused(files: Files) -> None:
    fewer = files[np.arange(10)]
    with pytest.raises(BadInput, match="the state is of 10 training images, the data set has 14"):
        train(files).load_state_dict(train(fewer).state_dict())


@pytest.mark.parametrize("world", [2, 3, 5])
def test_shares_together_are_what_one_process_sees(files: Files, world: int) -> None:
    """The last batch, of two images, is shared by more processes than it has images."""
    shares = [Share(rank, world) for rank in range(world)]
    team = [train(files, share=share) for share in shares]
    alone = train(files)
    for _ in range(2):
        assert equal(list(alone), joined(team))
    assert equal(list(evaluation(files)), joined([evaluation(files, share=share) for share in shares]))
    empty = train(files, workers=1, share=Share(0, 5))
    assert [len(labels) for _, labels in empty] == [0, 0, 0, 0]


def joined(shares: Sequence[Iterable[tuple[torch.Tensor, torch.Tensor]]]) -> Batches:
    """The batches of all processes, put together."""
    return [
        (torch.cat([inputs for inputs, _ in parts]), torch.cat([labels for _, labels in parts]))
        for parts in zip(*shares, strict=True)
    ]


def test_evaluation_is_in_order_and_the_middle(files: Files) -> None:
    loader = evaluation(files)
    assert (len(loader), loader.samples) == (4, COUNT)
    for _ in range(2):
        inputs, labels = (torch.cat(parts) for parts in zip(*loader, strict=True))
        assert labels.tolist() == [0] * 5 + [1] * 9
        for k, found in enumerate(inputs):
            view = crop.test_view(picture(k, (9 + k, 20 - k)), SIZE)
            assert torch.equal(found, AUGMENTATION.test(torch.from_numpy(np.array(view).transpose(2, 0, 1))[None])[0])


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA"])
@pytest.mark.parametrize("ending", ["JPEG", "PNG"])
def test_every_mode_becomes_rgb(tmp_path: Path, write_folder: Callable, mode: str, ending: str) -> None:
    if (mode, ending) in (("P", "JPEG"), ("RGBA", "JPEG"), ("CMYK", "PNG")):
        pytest.skip("there are no such files")
    file = io.BytesIO()
    picture(0, (12, 9), mode).save(file, ending)
    # ImageNet has PNGs that are called JPEG.
    folder = write_folder(tmp_path / "train", {"a/1.JPEG": file.getvalue(), "b/1.JPEG": file.getvalue()})
    from PIL import Image

    expected = crop.test_view(Image.open(file).convert("RGB"), SIZE)
    inputs, _ = next(iter(evaluation(read_index(folder).files)))
    assert torch.equal(inputs[0], AUGMENTATION.test(torch.from_numpy(np.array(expected).transpose(2, 0, 1))[None])[0])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_image_is_named(
    tmp_path: Path, write_folder: Callable, pack: Callable, tree: Callable, workers: int, zipped: bool
) -> None:
    source = write_folder(tmp_path / "train", tree() | {"dog/1.png": b"not an image"})
    files = read_index(pack(source, tmp_path / "train.zip") if zipped else source).files
    for loader in (train(files, workers), evaluation(files, workers)):
        with pytest.raises(BadInput, match=r"^[^\n]*train(\.zip)?/dog/1\.png is damaged: [^\n]*$"):
            list(loader)


def test_file_that_vanished_is_named(tmp_path: Path, write_folder: Callable, tree: Callable) -> None:
    folder = write_folder(tmp_path / "train", tree())
    files = read_index(folder).files
    (folder / "cat/0.png").unlink()
    with pytest.raises(BadInput, match=r"train/cat/0\.png.*No such file"):
        list(evaluation(files))


def decode_for_ever(files: Files, told: multiprocessing.connection.Connection) -> None:
    loader = train(files, workers=2)
    batches = iter(loader)
    next(batches)
    told.send([process.pid for process in multiprocessing.active_children()])
    time.sleep(1000)


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_no_worker_outlives_a_killed_run(files: Files) -> None:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    run = context.Process(target=decode_for_ever, args=(files, sender))
    run.start()
    pids = receiver.recv()
    assert len(pids) == 2
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):  # which a scheduler sends to a whole process group
        for pid in pids:
            os.kill(pid, number)
    time.sleep(0.2)
    assert all(alive(pid) for pid in pids)
    run.kill()
    run.join()
    while any(alive(pid) for pid in pids):
        time.sleep(0.01)


def test_program_that_ends_in_an_epoch_ends(files: Files) -> None:
    code = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from data.test_stream import train
from taunode.data.folder import read_index
batches = iter(train(read_index(Path(sys.argv[2])).files, workers=2))
next(batches)
"""
    command = [sys.executable, "-c", code, str(Path(__file__).parents[1]), str(files.source)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert not ended.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_arrive_on_the_gpu(files: Files) -> None:
    loader = StreamTrainLoader(files, AUGMENTATION, SIZE, BATCH, 0, "cuda", workers=2)
    on_gpu = [(inputs.cpu(), labels.cpu()) for inputs, labels in loader]
    for (inputs, labels), (expected, same_labels) in zip(on_gpu, train(files), strict=True):
        torch.testing.assert_close(inputs, expected)
        assert torch.equal(labels, same_labels)
