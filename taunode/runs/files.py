"""Files of a run or a sweep: the one way in which they are opened, read and written.

A directory may have been prepared, copied or broken by anybody. Only regular files are opened, never a link, a pipe or
a device, and only as much of them is read as a file of ours can hold. Every file but the log is written aside and
renamed, so that a reader sees the old file or the new one, never half of one.
"""

import contextlib
import errno
import io
import json
import os
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import yaml

from taunode.errors import BadInput

LARGEST = 32 * 2**20  # bytes of a record or a table: a run of 100,000 epochs has tables of 10 MB
DEEPEST = 50  # levels of nesting; a configuration has five
LONGEST = 1000  # bits of a whole number: what is longer is no float, and cannot be printed
MOST = 100_000  # keys, values and brackets in YAML, which takes a second; a configuration has a hundred

_dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml: 1 ms a file against 7 to 15 ms


class Unreadable(BadInput):
    """A file that cannot be what it should be: its path, and the reason in a few words."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = Path(path), reason


class Missing(Unreadable):
    """There is no such file."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(path, "there is no such file")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # chosen when it runs
    """Plain values only: a date stays text."""


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in _Loader.yaml_implicit_resolvers.items()
}


def _descriptor(path: Path | str) -> tuple[int, int]:
    """An open descriptor of a regular file, and its size in bytes."""
    try:  # O_NONBLOCK: a pipe that nobody writes to would wait for ever
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Missing(path) from None
    except OSError as error:
        is_link = error.errno == errno.ELOOP
        raise Unreadable(path, "is a symbolic link" if is_link else error.strerror or "cannot be opened") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise Unreadable(path, "is not a regular file")
    return descriptor, found.st_size


def open_regular(path: Path | str) -> BinaryIO:
    """Open a file for reading, if it is a regular one and no link.

    Raises:
        Missing: there is none.
        Unreadable: it is something else, or may not be read.
    """
    return open(_descriptor(path)[0], "rb")


def read_bytes(path: Path | str, most: int = LARGEST, offset: int = 0, cut: int | None = None) -> bytes:
    """The content of a regular file from `offset` on, no more than `cut` bytes of it.

    Raises:
        Missing, Unreadable: as `open_regular`; or there are more than `most` bytes of it, and no `cut`.
    """
    descriptor, size = _descriptor(path)
    try:
        if cut is None and size - offset > most:
            raise Unreadable(path, f"is larger than {most // 2**20} MiB")
        left = max(0, size - offset) if cut is None else cut
        content = os.pread(descriptor, left, offset)  # all of it, from a disk
        while len(content) < left and (part := os.pread(descriptor, left - len(content), offset + len(content))):
            content += part
        return content
    except OSError as error:
        raise Unreadable(path, error.strerror or "cannot be read") from None
    finally:
        os.close(descriptor)


def read_tail(path: Path | str, most: int) -> bytes:
    """The last `most` bytes of a regular file, which may be of any size."""
    with open_regular(path) as file:
        file.seek(max(0, file.seek(0, io.SEEK_END) - most))
        return file.read(most)


def read_json(path: Path | str) -> Any:
    """
    Raises:
        Missing, Unreadable: as `read_bytes`; or it is not JSON.
    """
    content = read_bytes(path)
    try:
        try:
            value = msgspec.json.decode(content)
        except msgspec.DecodeError:  # it knows no NaN, which a loss can be
            value = json.loads(content)
            json.dumps(value, ensure_ascii=False).encode(errors="surrogateescape")  # other surrogates are no text
        if _may_be_deep(content):
            _check_depth(value, DEEPEST)
        return value
    except (ValueError, RecursionError) as error:
        raise Unreadable(path, f"is not JSON ({_first_line(error)})") from None


_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _may_be_deep(content: bytes) -> bool:
    """Whether JSON could be nested too deeply: pairs of brackets are taken away, a level at a time."""
    if content.count(b"[") + content.count(b"{") <= DEEPEST:
        return False
    left = content.translate(None, _NO_BRACKETS)
    for _ in range(DEEPEST):
        if not left:
            return False
        left = left.replace(b"[]", b"").replace(b"{}", b"")
    return bool(left)  # or there is an odd bracket in a text


def _check_depth(value: Any, levels: int) -> None:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if inside and not levels:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep")
    for item in inside:
        _check_depth(item, levels - 1)


def read_yaml(path: Path) -> Any:
    """
    Raises:
        Missing, Unreadable: as `read_bytes`; or it is not YAML of plain values, without aliases.
    """
    return parse_yaml(read_bytes(path), path)


def parse_yaml(content: bytes, path: Path | str) -> Any:
    """The value of a YAML file's content; `path` is for messages.

    Raises:
        Unreadable: as `read_yaml`.
    """
    try:
        depth = 0
        for number, event in enumerate(yaml.parse(content, Loader=_Loader)):  # a few lines can stand for 10^9 values
            if number > MOST:
                raise Unreadable(path, f"holds more than {MOST:,} keys and values")
            if isinstance(event, yaml.AliasEvent):
                raise Unreadable(path, "has YAML aliases, which no file of taunode has")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise Unreadable(path, f"is nested more than {DEEPEST} levels deep")
        value = yaml.load(content, Loader=_Loader)
        _check_plain(value)
        return value
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(path, f"is not YAML of plain values ({_first_line(error)})") from None


def _check_plain(value: Any) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _check_plain(item)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item)
    elif not (value is None or isinstance(value, str | int | float)):
        raise ValueError(f"a value of type {type(value).__name__}")
    elif isinstance(value, int) and value.bit_length() > LONGEST:
        raise ValueError(f"a number of {value.bit_length()} bits")


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def to_yaml(value: Any) -> str:
    return str(yaml.dump(value, Dumper=_dumper, sort_keys=False, allow_unicode=True, width=110))


def to_json(value: Any) -> bytes:
    try:
        return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # a file's name that is not UTF-8
        return (json.dumps(value, indent=1) + "\n").encode()


def aside(path: Path) -> Path:
    """A name beside `path` that no other process has: where it is written before it is renamed."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")


def write_aside(path: Path, write: Callable[[BinaryIO], object], durable: bool = False) -> None:
    """Write a file beside `path` and rename it there; the old one stays whole if anything goes wrong.

    `durable` also waits until the bytes are on the disk (for what would be expensive to compute again).
    """
    beside = aside(path)
    try:
        with open(beside, "xb") as file:
            write(file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    write_aside(path, lambda file: file.write(text.encode(errors="surrogateescape")))


def write_json(path: Path, value: Any) -> None:
    content = to_json(value)
    write_aside(path, lambda file: file.write(content))


def link_once(path: Path, value: Any) -> bool:
    """Create `path` holding `value` as JSON; False if it exists already. Of any number of processes one wins.

    What has won stays won: the bytes are on the disk before the name is, and the name before this returns.
    """
    beside = aside(path)
    try:
        with open(beside, "xb") as file:
            file.write(to_json(value))
            file.flush()
            os.fsync(file.fileno())
        return share_once(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def share_once(existing: Path, path: Path) -> bool:
    """Give a file of this process's own a second name, if nobody has it yet."""
    try:
        os.link(existing, path)  # atomic on every file system with hard links, NFS included
    except FileExistsError:
        # Over NFS the link may have been made and the reply lost; the repeated request then finds it.
        return os.path.samestat(os.lstat(existing), os.lstat(path))
    _make_durable(path.parent)
    return True


def _make_durable(directory: Path) -> None:
    """Wait until the names in a directory are on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot, and need not
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_log(path: Path) -> int:
    """A descriptor that appends to a log, which is made if it is not there: of this process's own, or its team's."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(FileExistsError):
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
    descriptor = -1
    with contextlib.suppress(OSError):
        descriptor = os.open(path, flags)
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            return descriptor
        os.close(descriptor)
    path.unlink()  # somebody prepared a link or a pipe: what it leads to stays as it is
    return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
