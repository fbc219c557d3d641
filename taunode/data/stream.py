"""Batches of images that are too many for memory: worker processes decode them while the network trains.

Chance stays in this process: order, boxes and mirroring are drawn here for whole batches, and workers only decode, so
that what is trained on depends neither on their number nor on the number of processes that share the batches.
"""

import atexit
import multiprocessing
import os
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from taunode.data.augmentation import Augmentation
from taunode.data.crop import DRAWS, test_view, train_view
from taunode.data.decode import converted, open_image
from taunode.data.files import Files, reading
from taunode.data.loader import checked_batch_size
from taunode.data.share import ALONE, Share
from taunode.errors import BadInput
from taunode.orphan import die_with


class Job(NamedTuple):
    """What a worker is asked for: the images in these `rows` (n,) of the files, cut out as the `draws` (n, DRAWS) say;
    null: as for a test."""

    rows: NDArray[np.int64]
    draws: NDArray[np.float32] | None


class Decoder(Dataset[tuple[Tensor, Tensor, str]]):
    """Maps a job to its pixels, uint8 (n, 3, size, size), and labels, int64 (n,); or to a complaint about a file, which
    is raised where it can end the run."""

    def __init__(self, files: Files, size: int, flip: bool) -> None:
        self.files, self.size, self.flip = files, size, flip

    def __getitem__(self, job: Job) -> tuple[Tensor, Tensor, str]:
        pixels = torch.empty(len(job.rows), 3, self.size, self.size, dtype=torch.uint8)
        try:
            with reading(self.files.source) as read:
                for place, row in enumerate(job.rows.tolist()):
                    title = self.files.title(row)
                    image = converted(open_image(read, title, self.files.file(row)), title, "RGB")
                    if job.draws is None:
                        view = test_view(image, self.size)
                    else:
                        view = train_view(image, job.draws[place].tolist(), self.size, self.flip)
                    pixels[place] = torch.from_numpy(np.array(view).transpose(2, 0, 1))
        except BadInput as complaint:
            return pixels, torch.empty(0), str(complaint)
        return pixels, torch.from_numpy(self.files.labels[job.rows]), ""


class StreamTrainLoader:
    """What `TrainLoader` is to images in memory: each image once an epoch, in a new random order, cut out and mirrored
    at random; the last batch may be smaller.

    Iterating yields `(inputs, labels)`, float32 (n, 3, size, size) and int64 (n,), on `device`, for the rest of the
    epoch that is under way, and then stops; the next iteration begins a new epoch. One generator on the CPU, seeded
    with `seed`, draws for whole batches, of which this process gets its `share`. Of `augmentation` it takes flip, mean
    and std. `workers`: processes that decode (0: this one). Iterating raises `BadInput` when an image is damaged.
    """

    def __init__(
        self,
        files: Files,
        augmentation: Augmentation,
        size: int,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        share: Share = ALONE,
        workers: int = 0,
    ) -> None:
        self.batch_size = checked_batch_size(batch_size)
        self.samples = len(files)
        self._output = partial(_output, augmentation, torch.device(device))
        self._epoch = _Epoch(len(files), batch_size, seed, share)
        self._batches = _batches(Decoder(files, size, augmentation.flip), self._epoch, device, workers, stay=True)

    def __len__(self) -> int:
        """Batches in a whole epoch."""
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        handed_out = self._epoch.position
        for batch in self._batches:
            handed_out += self.batch_size
            # Before the batch is handed out: whoever holds it counts it as done when the state is saved.
            self._epoch.position = min(handed_out, self.samples)
            yield self._output(batch)
        self._epoch.end()

    def state_dict(self) -> dict[str, Any]:
        """Generator as the epoch under way began, and position in it, such that iterating goes on bit for bit.

        After an epoch's last batch but before its iteration has ended, the epoch is still under way: its rest is
        no batch.
        """
        return {"samples": self.samples, "position": self._epoch.position, "generator": self._epoch.begun}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state`; raises `BadInput` when it is of another data set."""
        if state["samples"] != self.samples:
            raise BadInput(f"the state is of {state['samples']} training images, the data set has {self.samples}")
        self._epoch.begun, self._epoch.position = state["generator"], state["position"]


class StreamTestLoader:
    """All images in order, each resized and cut at its centre, in batches like those of `StreamTrainLoader`."""

    def __init__(
        self,
        files: Files,
        augmentation: Augmentation,
        size: int,
        batch_size: int,
        device: torch.device | str,
        share: Share = ALONE,
        workers: int = 0,
    ) -> None:
        self.batch_size = checked_batch_size(batch_size)
        self.samples = len(files)
        self._output = partial(_output, augmentation, torch.device(device))
        jobs = _InOrder(len(files), batch_size, share)
        self._batches = _batches(Decoder(files, size, augmentation.flip), jobs, device, workers, stay=False)

    def __len__(self) -> int:
        """Batches."""
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return map(self._output, self._batches)


class _Epoch(Sampler[Job]):
    """The jobs of the rest of an epoch, drawn as workers have room for them.

    `begun`: the generator as the epoch began; `position`: how many of its images have been handed out. (The loader
    holds this and this not the loader: in a circle, DataLoader's workers would not hear that it is gone.)
    """

    def __init__(self, samples: int, batch_size: int, seed: int, share: Share) -> None:
        self._samples, self._batch_size, self._share = samples, batch_size, share
        self._generator = torch.Generator().manual_seed(seed)
        self.begun = self._generator.get_state()
        self.position = 0

    def __iter__(self) -> Iterator[Job]:
        skipped = self.position
        self._generator.set_state(self.begun)
        order = torch.randperm(self._samples, generator=self._generator)
        for rows in order.split(self._batch_size):
            draws = torch.rand(len(rows), DRAWS, generator=self._generator)
            if skipped > 0:
                skipped -= len(rows)
            else:
                part = self._share.of(len(rows))
                yield Job(rows[part].numpy(), draws[part].numpy())

    def end(self) -> None:
        self.begun, self.position = self._generator.get_state(), 0


class _InOrder(Sampler[Job]):
    """The jobs of all images, one after another."""

    def __init__(self, samples: int, batch_size: int, share: Share) -> None:
        self._samples, self._batch_size, self._share = samples, batch_size, share

    def __iter__(self) -> Iterator[Job]:
        for rows in torch.arange(self._samples).split(self._batch_size):
            yield Job(rows[self._share.of(len(rows))].numpy(), None)


def _batches(
    decoder: Decoder, jobs: Sampler[Job], device: torch.device | str, workers: int, stay: bool
) -> DataLoader[tuple[Tensor, Tensor, str]]:
    """`stay`: the workers outlive an iteration and serve the next one."""
    if workers:
        atexit.register(_end_workers)
    return DataLoader(
        decoder,
        batch_size=None,  # a job is a batch
        sampler=jobs,
        num_workers=workers,
        persistent_workers=stay and workers > 0,
        # Forked: they share the index, and are there at once.
        multiprocessing_context="fork" if workers else None,
        worker_init_fn=partial(_begin, os.getpid()),
        pin_memory=torch.device(device).type == "cuda",
        generator=torch.Generator(),  # of its own, for seeds that nobody uses: the global one stays as it is
    )


def _begin(parent: int, worker: int) -> None:
    """In a worker process: signals mean the parent, and nothing decodes for a parent that is gone."""
    die_with(parent, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def _end_workers() -> None:
    """As this process exits: multiprocessing would wait for ever for daemons that ignore its SIGTERM."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler would take it for a failure
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()


def _output(
    augmentation: Augmentation, device: torch.device, batch: tuple[Tensor, Tensor, str]
) -> tuple[Tensor, Tensor]:
    pixels, labels, complaint = batch
    if complaint:
        raise BadInput(complaint)
    return augmentation.test(pixels.to(device, non_blocking=True)), labels.to(device, non_blocking=True)
