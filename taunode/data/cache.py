"""Arrays made once and memory-mapped ever after: an entry of the cache is complete or absent."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taunode.data.lock import locked
from taunode.errors import BadInput

Arrays = dict[str, NDArray[Any]]


def cached(
    directory: Path,
    key: str,
    build: Callable[[], Mapping[str, NDArray[Any]]],
    is_current: Callable[[Arrays], bool] = lambda arrays: True,
) -> Arrays:
    """The arrays of entry `key` in `directory`, memory-mapped; `build` makes them when the entry is absent or damaged,
    or not `is_current`.

    Of several processes that ask at once one builds, the others wait for it. The arrays are mapped copy-on-write:
    they can be handed to torch without a copy, all processes share the memory, and nobody can change the entry.
    Raises `BadInput` when the entry has to be built and `directory` cannot be written, and whatever `build` raises.
    """
    entry = directory / key
    arrays = _mapped(entry)  # needs no lock, so that a finished cache may lie on a read-only disk
    if arrays is not None and is_current(arrays):
        return arrays
    with ExitStack() as stack:
        with _writing(directory):
            stack.enter_context(locked(directory / f"{key}.lock"))
        arrays = _mapped(entry)
        if arrays is None or not is_current(arrays):
            built = build()
            with _writing(directory):
                _write(entry, built)
            arrays = _mapped(entry)
    if arrays is None:
        raise BadInput(f"the cache entry {entry} was written but cannot be read back: is the disk sound?")
    return arrays


def _mapped(entry: Path) -> Arrays | None:
    """The arrays of a complete entry, else None. Sizes are checked, contents are not."""
    try:
        sizes: dict[str, int] = json.loads((entry / "sizes.json").read_bytes())
        if any((entry / f"{name}.npy").stat().st_size != size for name, size in sizes.items()):
            return None
        return {name: np.load(entry / f"{name}.npy", mmap_mode="c") for name in sizes}
    except (OSError, ValueError, EOFError):
        return None


def _write(entry: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    aside = entry.with_name(f".{entry.name}.partial")
    for leftover in (aside, entry):
        if leftover.exists():
            shutil.rmtree(leftover)
    aside.mkdir()
    for name, array in arrays.items():
        np.save(aside / f"{name}.npy", array)
    sizes = {name: (aside / f"{name}.npy").stat().st_size for name in arrays}
    (aside / "sizes.json").write_text(json.dumps(sizes))
    aside.rename(entry)


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise BadInput(f"the cache folder {directory} cannot be written: {fault.strerror or fault}") from fault
