"""The frozen configuration of a run, `config.yaml`, as a plain dictionary.

The runs of a sweep share most blocks of their configurations (what stands below a key of the top level), and a block
is parsed once: the YAML of 10,000 runs takes a tenth of the time.
"""

import functools
import marshal
import re
from pathlib import Path
from typing import Any

from taunode import build
from taunode.errors import BadInput, plainly
from taunode.runs.files import Unreadable, parse_yaml, read_bytes
from taunode.runs.history import upgraded
from taunode.runs.signature import flatten

_block = re.compile(rb"^(?=[^\s#-])", re.MULTILINE)  # where a key of the top level begins
_seed = re.compile(rb"^seed: (0|[1-9][0-9]{0,17})$", re.MULTILINE)
BLOCKS = 100  # so many of them; what has more is read as a whole
Flat = dict[str, Any]


def read_config(path: Path) -> dict[str, Any]:
    """As it stands there, also another program's.

    Raises:
        Missing, Unreadable: it cannot be read, or is no configuration.
    """
    return _config(read_bytes(path), path)


def _config(content: bytes, path: Path | str) -> dict[str, Any]:
    config: dict[str, Any] = {}
    try:
        blocks = _block.split(content, BLOCKS)
        if len(blocks) > BLOCKS:
            raise ValueError("too many blocks")
        for block in blocks:
            if block.strip():
                config |= marshal.loads(_parsed(block))  # a copy of its own for every run
    except ValueError:  # it does not fall apart into mappings: only as a whole does it say why
        config = parse_yaml(content, path)
        if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
            raise Unreadable(path, "is not a configuration") from None
    return config


def read_frozen(path: Path) -> dict[str, Any]:
    """The configuration of a run of ours, of whatever release, as this one would have frozen it.

    Raises:
        Missing, Unreadable: as `read_config`.
    """
    return upgraded(read_config(path))


def read_flat(path: Path | str) -> tuple[Flat, Flat]:
    """`read_frozen`, flattened (dotted key → value), its texts as they can be printed.

    Runs that differ in nothing but the seed are parsed once.

    Returns:
        What runs share, one dictionary that nobody may change; and what is this run's own and stands above it.

    Raises:
        Missing, Unreadable: as `read_config`.
    """
    content = read_bytes(path)
    seeds = list(_seed.finditer(content))
    if len(seeds) == 1:
        begin, end = seeds[0].span(1)
        try:
            flat = _flattened(content[:begin] + b"0" + content[end:])
        except (Unreadable, ValueError):
            pass  # the file itself says what is wrong with it
        else:
            if flat.get("seed") == 0:
                return flat, {"seed": int(seeds[0][1])}
    return plainly(dict(flatten(upgraded(_config(content, path))))), {}


@functools.lru_cache(maxsize=4096)
def _flattened(content: bytes) -> Flat:
    flat: Flat = plainly(dict(flatten(upgraded(_config(content, Path())))))
    return flat


def read_buildable(path: Path) -> dict[str, Any]:
    """The configuration of a run that is to be executed: it names nothing but what taunode builds.

    Raises:
        Missing, Unreadable: as `read_config`; or it names something else.
    """
    config = read_frozen(path)
    try:
        build.check_targets(config)
    except BadInput as error:
        raise Unreadable(path, str(error)) from None
    return config


@functools.lru_cache(maxsize=4096)
def _parsed(block: bytes) -> bytes:
    """One block, parsed and packed.

    Raises:
        ValueError: it is no mapping of texts to plain values.
    """
    try:
        value = parse_yaml(block, Path())
    except Unreadable as error:
        raise ValueError(error.reason) from None
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError("not a mapping")
    return marshal.dumps(value)
