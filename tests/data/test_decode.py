import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taunode.data import decode as module
from taunode.data.decode import common_size, decode
from taunode.data.folder import read_index
from taunode.errors import BadInput

Write = Callable[[Path, dict[str, object]], Path]


@pytest.mark.parametrize("processes", [1, 3, None])
@pytest.mark.parametrize("zipped", [True, False])
def test_pixels_are_those_of_the_files(
    tmp_path: Path, write_folder: Write, tree: Callable, pack: Callable, zipped: bool, processes: int | None
) -> None:
    content = tree(("cat", "dog"), 5)
    source = write_folder(tmp_path / "train", content)
    index = read_index(pack(source, tmp_path / "train.zip") if zipped else source)
    assert common_size([index]) == 6
    pixels = decode(index, 3, 6, processes)
    assert pixels.shape == (10, 3, 6, 6)
    for number, found in enumerate(pixels):
        assert (found.transpose(1, 2, 0) == np.asarray(content[index.files.file(number).name])).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "P", "1", "LA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_modes_become_the_channels_asked_for(tmp_path: Path, write_folder: Write, mode: str, channels: int) -> None:
    image = Image.linear_gradient("L").resize((6, 6)).convert("RGB").convert(mode)
    ending = "tif" if mode == "CMYK" else "png"
    index = read_index(write_folder(tmp_path, {f"a/1.{ending}": image, f"b/1.{ending}": image}))
    pixels = decode(index, channels, 6)
    expected = np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(6, 6, channels)
    assert (pixels == expected.transpose(2, 0, 1)).all()


def damaged(ending: str) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((6, 6)).save(file, ending)
    return file.getvalue()[:-40]


@pytest.mark.parametrize("content", [b"", b"not an image", damaged("PNG"), damaged("JPEG")])
@pytest.mark.parametrize("processes", [1, 2])
def test_damaged_image_is_named(
    tmp_path: Path, write_folder: Write, tree: Callable, content: bytes, processes: int
) -> None:
    index = read_index(write_folder(tmp_path / "train", tree() | {"dog/1.png": content}))
    with pytest.raises(BadInput, match=r"train/dog/1\.png is damaged"):
        decode(index, 3, 6, processes)


def test_damaged_member_of_a_zip_is_named(tmp_path: Path, write_folder: Write, tree: Callable, pack: Callable) -> None:
    path = pack(write_folder(tmp_path / "train", tree()), tmp_path / "train.zip")
    content = bytearray(path.read_bytes())
    place = content.index(b"dog/1.png") + 60  # within the stored image
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"train\.zip/dog/1\.png is damaged: Bad CRC-32"):
        decode(read_index(path), 3, 6)


@pytest.mark.parametrize("processes", [1, 2])
def test_first_of_several_sizes_is_named(tmp_path: Path, write_folder: Write, tree: Callable, processes: int) -> None:
    other = {"cat/2.png": Image.new("RGB", (6, 7)), "dog/2.png": Image.new("RGB", (8, 8))}
    index = read_index(write_folder(tmp_path / "train", tree() | other))
    with pytest.raises(BadInput, match=r"cat/0\.png has 6 × 6 pixels, .*cat/2\.png has 6 × 7"):
        decode(index, 3, 6, processes)


def test_splits_of_different_sizes(tmp_path: Path, write_folder: Write, tree: Callable) -> None:
    train = read_index(write_folder(tmp_path / "train", tree()))
    other = {"cat/1.png": Image.new("RGB", (8, 8)), "dog/1.png": Image.new("RGB", (8, 8))}
    test = read_index(write_folder(tmp_path / "val", other))
    with pytest.raises(BadInput, match=r"train/cat/0\.png has 6 × 6 pixels, .*val/cat/1\.png has 8 × 8"):
        common_size([train, test])


def test_images_must_be_square_and_eight_bits_deep(tmp_path: Path, write_folder: Write) -> None:
    long = read_index(write_folder(tmp_path / "a", dict.fromkeys(("a/1.png", "b/1.png"), Image.new("RGB", (6, 7)))))
    with pytest.raises(BadInput, match=r"a/1\.png has 6 × 7 pixels; images must be square"):
        common_size([long])
    deep = read_index(write_folder(tmp_path / "b", dict.fromkeys(("a/1.png", "b/1.png"), Image.new("I;16", (6, 6)))))
    with pytest.raises(BadInput, match=r"a/1\.png has pixels of more than 8 bits"):
        decode(deep, 1, 6)


def test_process_that_dies_is_reported(
    tmp_path: Path, write_folder: Write, tree: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = read_index(write_folder(tmp_path / "train", tree()))
    monkeypatch.setattr(module, "_decode_part", lambda *_: os._exit(3))
    with pytest.raises(RuntimeError, match=r"a process decoding .*train ended with exit code 3"):
        decode(index, 3, 6, processes=2)
