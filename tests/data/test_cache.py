import multiprocessing
import os
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from taunode.data.cache import Arrays, cached
from taunode.errors import BadInput


def arrays() -> Arrays:
    return {"pixels": np.arange(12, dtype=np.uint8).reshape(3, 4), "labels": np.arange(3)}


def must_not_build() -> Arrays:
    raise AssertionError("built again")


def check(found: Arrays) -> None:
    assert found.keys() == {"pixels", "labels"}
    for name, array in arrays().items():
        assert isinstance(found[name], np.memmap)
        assert found[name].dtype == array.dtype
        assert (found[name] == array).all()


def test_built_once(tmp_path: Path) -> None:
    check(cached(tmp_path / "new" / "cache", "key", arrays))
    check(cached(tmp_path / "new" / "cache", "key", must_not_build))


def test_writing_to_an_array_does_not_change_the_entry(tmp_path: Path) -> None:
    cached(tmp_path, "key", arrays)["pixels"][:] = 99
    check(cached(tmp_path, "key", must_not_build))


def race(directory: Path, barrier: Barrier) -> None:
    def build() -> Arrays:
        with (directory / "builds").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return arrays()

    barrier.wait()
    for key in map(str, range(5)):
        check(cached(directory, key, build))


def test_four_racing_processes_build_once(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(4)
    racers = [fork.Process(target=race, args=(tmp_path, barrier)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0] * 4
    assert len((tmp_path / "builds").read_text().splitlines()) == 5


@pytest.mark.parametrize("damage", ["cut", "missing file", "no sizes", "nonsense sizes", "leftover"])
def test_damaged_entry_is_rebuilt(tmp_path: Path, damage: str) -> None:
    cached(tmp_path, "key", arrays)
    entry = tmp_path / "key"
    if damage == "cut":
        os.truncate(entry / "pixels.npy", (entry / "pixels.npy").stat().st_size - 1)
    elif damage == "missing file":
        (entry / "labels.npy").unlink()
    elif damage == "no sizes":
        (entry / "sizes.json").unlink()
    elif damage == "nonsense sizes":
        (entry / "sizes.json").write_text("{")
    else:  # a writer was killed
        entry.rename(tmp_path / ".key.partial")
    check(cached(tmp_path, "key", arrays))
    check(cached(tmp_path, "key", must_not_build))
    assert not (tmp_path / ".key.partial").exists()


def test_failed_build_leaves_no_entry(tmp_path: Path) -> None:
    def fail() -> Arrays:
        raise BadInput("bad image")

    with pytest.raises(BadInput, match="bad image"):
        cached(tmp_path, "key", fail)
    check(cached(tmp_path, "key", arrays))


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"cache folder .*file/cache cannot be written: Not a directory"):
        cached(tmp_path / "file" / "cache", "key", must_not_build)
