"""Decoding the images of an index into one array, in as many processes as there are cores.

Processes, since for small images Pillow's own work is short and threads mostly wait for the interpreter: 50,000 JPEGs
of 32 × 32 took 6.3 s with one thread, 10.1 s with two and 4.5 s with two processes (two cores).
"""

import io
import mmap
import multiprocessing
import os
import signal
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from taunode.data.files import File, reading
from taunode.data.folder import Index
from taunode.errors import BadInput

MODES = {1: "L", 3: "RGB"}
IMAGES_A_PROCESS = 1000  # fewer are decoded sooner than a process starts and has read a zip's directory
# What Pillow and zipfile raise on damaged files; NotImplementedError is a zip's unknown compression.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    IndexError,
    EOFError,
    NotImplementedError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    Image.DecompressionBombError,
)


def common_size(indexes: Sequence[Index]) -> int:
    """Height and width of the first image of each index; raises `BadInput` when they differ or are not square."""
    sizes = {}
    for index in indexes:
        title = index.files.title(0)
        with reading(index.source) as read:
            sizes[title] = open_image(read, title, index.files.file(0)).size
    (title, (width, height)), *others = sizes.items()
    if width != height:
        raise BadInput(f"{title} has {width} × {height} pixels; images must be square")
    for other, size in others:
        if size != (width, height):
            raise _several_sizes(title, (width, height), other, size)
    return width


def decode(index: Index, channels: int, size: int, processes: int | None = None) -> NDArray[np.uint8]:
    """The pixels, uint8 (n, channels, size, size), of all images of `index`, in its order.

    `channels` is 1 (grey) or 3 (RGB): other images are converted. `size` is that of the first image.
    `processes`: None takes as many as pay.
    Raises `BadInput` that names the first image that is damaged, is not 8 bits deep, or has another size.
    """
    count = len(index.files)
    if processes is None:
        processes = min(_cores(), 1 + count // IMAGES_A_PROCESS)
    # Anonymous shared memory: children write their part of it, nothing is sent, and nothing is left if all are killed.
    shared = mmap.mmap(-1, count * channels * size * size)
    pixels = np.frombuffer(shared, np.uint8).reshape(count, channels, size, size)
    bounds = [count * part // processes for part in range(processes + 1)]
    parts = [slice(start, stop) for start, stop in pairwise(bounds)]
    if processes == 1:
        _decode_part(index, pixels, parts[0])
    else:
        _decode_parts(index, pixels, parts)
    return pixels


def _decode_parts(index: Index, pixels: NDArray[np.uint8], parts: list[slice]) -> None:
    # Forked, since they share memory; they run nothing but zipfile, Pillow and numpy's copying.
    fork = multiprocessing.get_context("fork")
    started = []
    try:
        for part in parts:
            receiver, sender = fork.Pipe(duplex=False)
            child = fork.Process(target=_child, args=(index, pixels, part, sender))
            child.start()
            sender.close()
            started.append((child, receiver))
        for child, receiver in started:  # in the order of the files, so that the first bad one is named
            try:
                complaint = receiver.recv()
            except EOFError:
                child.join()
                raise RuntimeError(f"a process decoding {index.source} ended with exit code {child.exitcode}") from None
            if complaint:
                raise BadInput(complaint)
    finally:
        for child, _ in started:
            child.kill()
            child.join()


def _child(index: Index, pixels: NDArray[np.uint8], part: slice, sender: Connection) -> None:
    # The parent's handlers mean the parent; it ends its children itself.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    try:
        _decode_part(index, pixels, part)
    except BadInput as complaint:
        sender.send(str(complaint))
    else:
        sender.send("")


def _decode_part(index: Index, pixels: NDArray[np.uint8], part: slice) -> None:
    channels, size = pixels.shape[1:3]
    with reading(index.source) as read:
        for number in range(part.start, part.stop):
            title = index.files.title(number)
            image = open_image(read, title, index.files.file(number))
            if image.size != (size, size):
                raise _several_sizes(index.files.title(0), (size, size), title, image.size)
            array = np.asarray(converted(image, title, MODES[channels]))
            pixels[number] = array.reshape(size, size, channels).transpose(2, 0, 1)


def open_image(read: Callable[[File], bytes], title: str, file: File) -> Image.Image:
    """The image in a file, of which only the header has been decoded.

    `read`: of `reading`. Raises `BadInput`, with the `title`, when it is damaged or no image.
    """
    try:
        return Image.open(io.BytesIO(read(file)))
    except DAMAGE as fault:
        raise BadInput(f"{title} is damaged: {fault}") from fault


def converted(image: Image.Image, title: str, mode: str) -> Image.Image:
    """The image decoded, in `mode` L or RGB; raises `BadInput` when it is damaged or not 8 bits deep."""
    if image.mode.startswith(("I", "F")):
        raise BadInput(f"{title} has pixels of more than 8 bits (mode {image.mode}); valid: 8 bits a channel")
    try:
        image.load()
        return image if image.mode == mode else image.convert(mode)
    except DAMAGE as fault:
        raise BadInput(f"{title} is damaged: {fault}") from fault


def _several_sizes(title: str, size: tuple[int, int], other: str, other_size: tuple[int, int]) -> BadInput:
    return BadInput(
        f"images of several sizes: {title} has {size[0]} × {size[1]} pixels, {other} has "
        f"{other_size[0]} × {other_size[1]}; all must have one size"
    )


def _cores() -> int:
    """The cores this process may use: on a cluster fewer than the machine has. (macOS cannot tell them apart.)"""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
