"""One run directory of ours as a row: its configuration, state, facts and summary. Nothing in it is executed."""

import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory, read_yaml
from taunode.runs.observe import observe
from taunode.runs.signature import flatten
from taunode.runs.state import State, derive

_loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_block = re.compile(r"^(?=[^\s#-])", re.MULTILINE)  # where a key of the top level begins


class OurRun:
    """See `multirun_analysis.collect.Run`."""

    def __init__(self, key: str, name: str, path: str) -> None:
        self.key, self.name, self.path = key, name, path

    def read(self) -> tuple[dict[str, Any], dict[str, Any], bool]:
        run = RunDirectory(self.path)
        record = run.read_record()
        seen = observe(run, record)
        state = derive(seen)
        rest = {
            "tau": None,  # a column of every sweep, also where a network has none
            "state": state.value,
            "signature": record.signature,
            **record.facts,
            **(seen.done["summary"] if seen.done is not None else {}),  # none of a result that is being done again
            "attempts": seen.attempts,
            "code": ", ".join(sorted({attempt["code"] for attempt in record.attempts if "code" in attempt})) or None,
        }
        return read_flat(run.config), rest, state not in (State.RUNNING, State.STALLED)

    def tables(self) -> list[Path]:
        """metrics and timings of the attempt that `done` names, else of the newest one that has metrics."""
        run = RunDirectory(self.path)
        files = os.listdir(run.path)
        if run.done.name in files:
            attempt = int(json.loads(run.done.read_bytes())["attempt"])
        else:
            found = (re.fullmatch(r"metrics\.(\d+)\.csv", name) for name in files)
            attempt = max((int(match[1]) for match in found if match), default=0)
        return [run.metrics(attempt), run.timings(attempt)] if attempt else []


def read_flat(path: Path) -> dict[str, Any]:
    """A frozen configuration, flattened.

    The runs of a sweep share most of the blocks of their configurations, and a block is parsed once: the YAML of
    10,000 runs takes a tenth of the time. A file that does not fall apart into mappings is parsed as a whole.

    Raises:
        BadInput, OSError, yaml.YAMLError: it cannot be read.
    """
    text = path.read_text(encoding="utf-8")
    blocks = [block for block in _block.split(text) if block.strip()]
    try:
        return dict(pair for block in blocks for pair in _flat(block))
    except (yaml.YAMLError, ValueError):
        config = read_yaml(path)
        if not isinstance(config, dict):
            raise BadInput(f"{path}: not a configuration") from None
        return dict(flatten(config))


@lru_cache(maxsize=4096)
def _flat(block: str) -> tuple[tuple[str, Any], ...]:
    value = yaml.load(block, Loader=_loader)
    if not isinstance(value, dict):
        raise ValueError("not a mapping")
    return tuple(flatten(value))
