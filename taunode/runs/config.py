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
from taunode.errors import BadInput
from taunode.runs.files import Unreadable, parse_yaml, read_bytes
from taunode.runs.history import upgraded

_block = re.compile(rb"^(?=[^\s#-])", re.MULTILINE)  # where a key of the top level begins
BLOCKS = 100  # so many of them; what has more is read as a whole


def read_config(path: Path) -> dict[str, Any]:
    """As it stands there, also another program's.

    Raises:
        Missing, Unreadable: it cannot be read, or is no configuration.
    """
    content = read_bytes(path)
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
