"""The manifest of an archive: every file in it with its size and SHA-256; and which names a file in one may have.

An archive is a zip file with fixed times and owners, its entries in the order of their names and the manifest last, so
that the same sweep gives the same bytes. What an attempt writes stands there once, by the name with its number.
"""

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from taunode.runs.directory import RunDirectory

FORMAT = 1  # raised when an older taunode could misread a newer archive
NAME = "manifest.json"
SUFFIX = ".zip"
LONGEST = 255  # bytes of a part of a name; 16 times that of all of it
DEEPEST = 32  # parts
FREE = 2**26  # bytes that any archive may unpack to; beyond that
RATIO = 100  # times its own size: tables and records become a fifth, a file of one letter a thousandth
PARTS = {  # what an archive can do without
    "weights": re.compile(r"(model|best)\.[0-9]+\.safetensors"),
    "checkpoints": re.compile(r"checkpoint\.[0-9]+\.pt"),
}
PLAIN = (*RunDirectory.linked, "probes.parquet")  # second names of an attempt's files, which are made anew


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    """A file: its bytes, and their SHA-256 in hex digits."""

    size: Annotated[int, Meta(ge=0, le=2**60)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """All files of an archive by their names, and what was left out of it."""

    format: Annotated[int, Meta(ge=1)]
    without: list[str]
    files: dict[str, Entry]

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())


def is_bomb(total: int, size: int) -> bool:
    """Whether an archive of so many bytes would unpack to more than any should."""
    return total > max(FREE, RATIO * size)


def run_of(name: str) -> str | None:
    """The run directory that a file of a sweep lies in: its name as in an archive, "" for a run that was archived by
    itself or a file of none."""
    parts = name.split("/")
    return "/".join(parts[:2]) if len(parts) > 2 and parts[0] == "runs" else ""


def part_of(name: str) -> str | None:
    """Which of `PARTS` a file is of; None for what is in every archive."""
    last = name.rpartition("/")[2]
    return next((part for part, pattern in PARTS.items() if pattern.fullmatch(last)), None)


def why_no_name(name: str) -> str | None:
    """What is wrong with the name of a file in an archive; None if nothing is."""
    parts = name.split("/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "is absolute"
    if ".." in parts:
        return "leads out of the archive"
    if "" in parts or "." in parts:
        return "is no name of a file"
    if "\\" in name or not name.isprintable():
        return "has characters that no file in an archive has"
    if max(len(part.encode()) for part in parts) > LONGEST or len(name.encode()) > 16 * LONGEST or len(parts) > DEEPEST:
        return "is too long"
    return None
