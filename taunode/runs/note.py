"""Notes: what people say of a sweep or a run, a line and tags, in a file of its directory; no part of what it is."""

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from taunode.errors import BadInput, plain
from taunode.runs.files import Missing, Unreadable, read_json, write_json
from taunode.runs.record import convert

NAME = "note.json"
LONGEST = 1000  # characters
_tag = r"^[\w.+-]{1,50}$"


@dataclass(frozen=True)
class Note:
    """A line of text, which may be empty, and tags, sorted."""

    note: Annotated[str, Meta(max_length=LONGEST)] = ""
    tags: tuple[Annotated[str, Meta(pattern=_tag)], ...] = ()

    def __str__(self) -> str:
        return " ".join([*([plain(self.note)] if self.note else []), *(f"#{plain(tag)}" for tag in self.tags)])

    def __bool__(self) -> bool:
        return bool(self.note or self.tags)


def read_note(directory: Path | str) -> Note:
    """What is noted of the sweep or the run of this directory.

    Raises:
        Unreadable: its file is not what it should be.
    """
    path = f"{directory}/{NAME}"
    try:
        return convert(read_json(path), Note, path)
    except Missing:
        return Note()


def noted(directory: Path | str) -> Note:
    """As `read_note`, for those who look: what cannot be read says so."""
    try:
        return read_note(directory)
    except Unreadable as error:
        return Note(f"({NAME} cannot be read: {error.reason})"[:LONGEST])


def write_note(directory: Path, note: Note) -> None:
    """Note it; nothing to say removes the file.

    Raises:
        OSError: it cannot be written.
    """
    if note:
        write_json(directory / NAME, asdict(note))
    elif os.path.lexists(directory / NAME):
        (directory / NAME).unlink()


def checked(text: str) -> str:
    """A text that a note can be.

    Raises:
        BadInput: it is no line, or too long.
    """
    if not text.isprintable() or len(text) > LONGEST:
        raise BadInput(f"a note is one line of at most {LONGEST:,} characters, got {text[:60]!r}")
    return text.strip()


def checked_tag(tag: str) -> str:
    """
    Raises:
        BadInput: it is no tag.
    """
    if re.fullmatch(_tag, tag) is None:
        raise BadInput(f"a tag is a word of at most 50 letters, digits and . _ + -, got {tag[:60]!r}")
    return tag
