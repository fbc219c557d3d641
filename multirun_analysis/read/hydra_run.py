"""One run directory of a plain Hydra multirun as a row: what `.hydra/config.yaml` and a table of metrics say.

Hydra records no state: a run with metrics counts as done, one without as planned. The last epoch gives
`final_<metric>`.
"""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from multirun_analysis.read.cache import stamp
from taunode.errors import plain, plainly
from taunode.runs.config import read_config
from taunode.runs.files import read_bytes
from taunode.runs.signature import flatten
from taunode.runs.state import State

CONFIG = Path(".hydra") / "config.yaml"
LARGEST = 2**30  # bytes of a table: another program may log every step
KINDS = (".csv", ".jsonl")
STEPS = ("epoch", "step", "global_step", "iteration")  # the first that is there counts the rows


def find(root: Path) -> Iterator[Path]:
    """The run directories below `root`, sorted, or `root` itself; what has a point before its name is not looked at."""
    if (root / CONFIG).is_file():
        yield root
        return
    try:
        inside = sorted(
            entry.path for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False) and entry.name[0] != "."
        )
    except OSError:
        return
    for path in inside:
        yield from find(Path(path))


class HydraRun:
    """See `multirun_analysis.read.sweep.Run`."""

    def __init__(self, key: str, name: str, path: str) -> None:
        self.key, self.name, self.path = key, name, path

    def stamp(self, names: list[str]) -> str:
        return stamp(self.path, [str(CONFIG), *sorted(name for name in names if name.endswith(KINDS))])

    def read(self, names: list[str] | None) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], bool]:
        config = plainly(dict(flatten(read_config(Path(self.path) / CONFIG))))
        files = self.tables()
        metrics = read_metrics(files[0]) if files else pd.DataFrame()
        last = metrics.iloc[-1].to_dict() if len(metrics) else {}
        final = {f"final_{name}": float(value) for name, value in last.items() if name != "epoch" and pd.notna(value)}
        state = State.DONE if len(metrics) else State.PLANNED
        rest = {"tau": None, "state": state.value, "signature": None, "epochs": len(metrics), **final}
        return config, {}, plainly(rest), True

    def tables(self) -> list[str]:
        """metrics.csv or metrics.jsonl, else the first table by name."""
        names = [entry.name for entry in os.scandir(self.path) if entry.is_file() and entry.name.endswith(KINDS)]
        names.sort(key=lambda name: (not name.startswith("metrics."), name))
        return [f"{self.path}/{name}" for name in names[:1]]


def read_metrics(path: Path | str) -> pd.DataFrame:
    """A table of metrics, numbers only: `epoch` and one column a metric; several rows of an epoch become one.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    text = read_bytes(path, LARGEST)
    if str(path).endswith(".jsonl"):
        table = pd.DataFrame([json.loads(line) for line in text.splitlines() if line.strip()])
    else:
        table = pd.read_csv(io.BytesIO(text)) if text.strip() else pd.DataFrame()
    table = table.select_dtypes("number").astype("float64").rename(columns=lambda name: plain(str(name)))
    steps = next((name for name in STEPS if name in table), None)
    counted = pd.Series(range(1, len(table) + 1), index=table.index) if steps is None else table.pop(steps)
    by_epoch = table.groupby(counted.rename("epoch")).last().reset_index()
    return by_epoch.astype({"epoch": "int64"})
