"""One run directory of ours as a row: its configuration, state, facts and summary. Nothing in it is executed."""

import os
import re
from typing import Any

from multirun_analysis.read.cache import stamp
from taunode.errors import plainly
from taunode.runs.directory import RunDirectory
from taunode.runs.files import Missing
from taunode.runs.note import NAME, noted
from taunode.runs.observe import observe
from taunode.runs.state import State, derive

_read = re.compile(r"run\.json|config\.yaml|done|note\.json|(claim|metrics|timings)\.\d.*")  # the files that are read
_metrics = re.compile(r"metrics\.(\d+)\.csv")


class OurRun:
    """See `multirun_analysis.read.sweep.Run`."""

    def __init__(self, key: str, name: str, path: str) -> None:
        self.key, self.name, self.path = key, name, path

    def stamp(self, names: list[str]) -> str:
        return stamp(self.path, sorted(filter(_read.fullmatch, names)))

    def read(self, names: list[str] | None) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], bool]:
        run = RunDirectory(self.path)
        record = run.read_record()
        seen = observe(run, record, names=names)
        state = derive(seen)
        rest = {
            "tau": None,  # a column of every sweep, also where a network has none
            **record.facts,
            **(seen.done["summary"] if seen.done is not None else {}),  # none of what is being done again
            "state": state.value,
            "signature": record.signature,
            "attempts": seen.attempts,
            "code": ", ".join(sorted({one["code"] for one in record.attempts if "code" in one})) or None,
        }
        if (names is None or NAME in names) and (said := noted(self.path)):
            rest |= {"note": said.note, "tags": list(said.tags)}
        config, own = run.read_flat()
        return config, own, plainly(rest), state not in (State.RUNNING, State.STALLED)

    def tables(self) -> list[str]:
        """metrics and timings of the attempt that `done` names, else of the newest one that has metrics."""
        run = RunDirectory(self.path)
        try:
            attempt = run.read_done()["attempt"]
        except Missing:
            found = (_metrics.fullmatch(name) for name in os.listdir(self.path))
            attempt = max((int(match[1]) for match in found if match), default=0)
        return run.tables(attempt) if attempt else []
