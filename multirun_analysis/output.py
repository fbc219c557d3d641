"""Output: the files that a command writes, each whole or not at all, and the formats of tables by their suffixes."""

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import BinaryIO

from taunode.errors import BadInput


class Format(StrEnum):
    TEXT = "text"
    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"
    PARQUET = "parquet"


SUFFIXES = {".csv": Format.CSV, ".md": Format.MARKDOWN, ".tex": Format.LATEX, ".parquet": Format.PARQUET}


def format_of(output: Path, asked: Format | None) -> Format:
    if output.suffix not in SUFFIXES:
        raise BadInput(f"--output {output}: the suffix says the format and is one of {', '.join(SUFFIXES)}")
    told = SUFFIXES[output.suffix]
    if asked not in (None, told):
        raise BadInput(f"--output {output} is {told}, but --format says {asked}")
    return told


def write(files: Mapping[Path, bytes]) -> None:
    """Write the files and print their paths."""
    from taunode.runs.files import write_aside

    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_aside(path, partial(_put, content))
        except OSError as error:
            raise BadInput(f"cannot write {path}: {error.strerror}") from None
        print(path)


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)
