"""Fetching a named data set: torchvision's addresses and checksums, one process at a time, whole or not at all."""

import shutil
import socket
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from taunode.data.lock import locked
from taunode.errors import BadInput

SILENCE_SECONDS = 30.0
# RuntimeError is how torchvision reports a wrong checksum and mirrors that all failed.
FAULTS = (OSError, RuntimeError, HTTPException, EOFError, tarfile.TarError, zlib.error)


def fetch(
    root: Path,
    source: str,
    folder: str,
    missing: Callable[[], list[str]],
    archive: str = "",
    splits: Sequence[str] = (),
) -> None:
    """Put the files of torchvision's data set `source` into `root`/`folder`, unless `missing()` names none.

    `source` is the name of torchvision's class, `folder` where that class keeps its files. An `archive` that the
    user has put into `root` is unpacked instead of being downloaded, if its checksum is right. `splits`: of a class
    that downloads one at a time, such as SVHN. Raises `BadInput` that says what is missing, where it looked and what
    to put there.
    """
    absent = missing()
    if not absent:
        return
    from torchvision import datasets

    kind = getattr(datasets, source)
    try:
        with locked(root / f".{source}.lock"):
            if missing():  # else another process has downloaded it while this one waited
                _download(kind, root, folder, archive, splits)
    except FAULTS as fault:
        addresses = " or ".join(_addresses(kind, splits))
        found = f" ({root / archive} is there, but damaged)" if archive and (root / archive).exists() else ""
        raise BadInput(
            f"{source} is not whole in {root / folder} (missing: {', '.join(absent)}) and could not be had from "
            f"{addresses}: {' '.join(str(fault).split())}. Put these files"
            f"{f' there, or {archive} into {root}' if archive else ' (or the same with .gz) there'}{found}, "
            "or set runtime.data_root to the folder that has them"
        ) from fault


def _addresses(kind: Any, splits: Sequence[str]) -> list[str]:
    if splits:
        return [kind.split_list[split][0] for split in splits]
    return list(kind.mirrors) if hasattr(kind, "mirrors") else [kind.url]


def _download(kind: Any, root: Path, folder: str, archive: str, splits: Sequence[str]) -> None:
    """Aside first, since torchvision leaves what it could not finish; whole files then move into place."""
    with TemporaryDirectory(prefix=".download-", dir=root) as aside:
        if archive and (root / archive).is_file():
            shutil.copyfile(root / archive, Path(aside, archive))  # a copy: torchvision replaces a damaged one
        with _patience(SILENCE_SECONDS):
            for options in [{"split": split} for split in splits] or [{}]:
                kind(aside, download=True, **options)
        (root / folder).mkdir(parents=True, exist_ok=True)
        for file in Path(aside, folder).iterdir():
            file.replace(root / folder / file.name)


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Inside, a server that says nothing for so long is a failure: torchvision itself waits for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
