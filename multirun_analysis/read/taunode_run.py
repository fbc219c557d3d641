"""One run directory of ours as a row: its configuration, state, facts and summary. Nothing in it is executed."""

import os
import re
from pathlib import Path
from typing import Any

from taunode.runs.config import read_flat
from taunode.runs.directory import RunDirectory
from taunode.runs.note import noted
from taunode.runs.observe import observe
from taunode.runs.state import State, derive


class OurRun:
    """See `multirun_analysis.read.sweep.Run`."""

    def __init__(self, key: str, name: str, path: str) -> None:
        self.key, self.name, self.path = key, name, path

    def read(self) -> tuple[dict[str, Any], dict[str, Any], bool]:
        run = RunDirectory(self.path)
        record = run.read_record()
        seen = observe(run, record)
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
        if said := noted(run.path):
            rest |= {"note": said.note, "tags": list(said.tags)}
        return read_flat(run.config), rest, state not in (State.RUNNING, State.STALLED)

    def tables(self) -> list[Path]:
        """metrics and timings of the attempt that `done` names, else of the newest one that has metrics."""
        run = RunDirectory(self.path)
        files = os.listdir(run.path)
        if run.done.name in files:
            attempt = run.read_done()["attempt"]
        else:
            found = (re.fullmatch(r"metrics\.(\d+)\.csv", name) for name in files)
            attempt = max((int(match[1]) for match in found if match), default=0)
        return [run.metrics(attempt), run.timings(attempt)] if attempt else []
