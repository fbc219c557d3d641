"""How long the new runs of a plan will take, cell by cell, by what like runs took an epoch before, or in a pilot."""

import contextlib
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taunode.errors import BadInput
from taunode.plan.plan import Plan, PlannedRun
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.files import Unreadable
from taunode.runs.observe import look
from taunode.runs.signature import scientific
from taunode.runs.state import State

# What decides how long an epoch takes, and is neither seed, τ nor the rate.
SHAPE = ("arch.", "dataset.", "solver.", "embedding.", "optimizer._target_", "schedule.batch_size", "precision")

Pilot = Callable[[PlannedRun], tuple[str, list[float]]]  # → the device, and several measurements of seconds an epoch


@dataclass(frozen=True)
class Estimate:
    """What the new runs of a cell will take together.

    Attributes:
        cell: how the first of them is called.
        runs: how many.
        seconds: null where nothing like it has been run.
        error: one standard deviation in seconds; null of a single run before.
        source: by what.
    """

    cell: str
    runs: int
    seconds: float | None
    error: float | None
    source: str

    @property
    def hours(self) -> str:
        if self.seconds is None:
            return "?"
        return f"{self.seconds / 3600:.2g} ± {'?' if self.error is None else f'{self.error / 3600:.1g}'}"


def shape(config: Mapping[str, Any]) -> str:
    """Equal for runs whose epochs take equally long."""
    return json.dumps({key: value for key, value in scientific(config).items() if key.startswith(SHAPE)})


def estimates(plan: Plan, pilot: Pilot | None = None) -> list[Estimate]:
    """One of each cell that has new runs.

    Args:
        pilot: asked for shapes that have not been run before.
    """
    cells: dict[str, list[PlannedRun]] = defaultdict(list)
    for planned in plan.new:
        cells[json.dumps({key: v for key, v in scientific(planned.config).items() if key != "seed"})].append(planned)
    wanted = {shape(runs[0].config) for runs in cells.values()}
    before = _before(plan, wanted) if wanted else {}
    found = []
    for runs in cells.values():
        kind = shape(runs[0].config)
        if kind not in before and pilot is not None and runs[0].facts.get("epochs_planned"):
            device, measured = pilot(runs[0])
            before[kind] = f"a pilot on {device}", measured
        source, seconds = before.get(kind, ("nothing like it has been run", []))
        epochs = runs[0].facts.get("epochs_planned") or 0
        found.append(_estimate(_called(runs[0]), len(runs), epochs, source, seconds))
    return found


def _called(planned: PlannedRun) -> str:
    return ",".join(part for part in planned.run.path.name.rpartition("-")[0].split(",") if part[:5] != "seed=")


def _estimate(cell: str, runs: int, epochs: int, source: str, seconds: list[float]) -> Estimate:
    """The mean of so many runs, with the error of one that is still to come and of what it is compared with."""
    if not seconds:
        return Estimate(cell, runs, None, None, source)
    whole = runs * epochs * statistics.fmean(seconds)
    if len(seconds) < 2:
        return Estimate(cell, runs, whole, None, source)
    spread = epochs * statistics.stdev(seconds)
    return Estimate(cell, runs, whole, spread * math.sqrt(runs + runs**2 / len(seconds)), source)


def _before(plan: Plan, wanted: set[str]) -> dict[str, tuple[str, list[float]]]:
    """Of each shape how long an epoch took in the runs of this sweep and those beside it: on the device that is asked
    for, and where that is `auto` on the one that was used last."""
    found: dict[str, list[tuple[str, str, float]]] = defaultdict(list)
    for run in _runs_beside(plan.root):
        with contextlib.suppress(Unreadable, OSError):
            record, _, state = look(run)
            epochs, seconds = record.summary.get("epochs"), record.summary.get("seconds")
            device = str(record.summary.get("device", ""))
            if state is not State.DONE or not epochs or seconds is None or not _fits(plan.runtime.device, device):
                continue
            if (kind := shape(run.read_config())) in wanted:
                ended = str(record.attempts[-1].get("ended", "")) if record.attempts else ""
                found[kind].append((ended, device, seconds / epochs))
    chosen = {}
    for kind, rows in found.items():
        _, last, _ = max(rows)
        seconds = [each for _, device, each in rows if device == last]
        chosen[kind] = f"{len(seconds)} run{'s' * (len(seconds) != 1)} on {last}", seconds
    return chosen


def _fits(asked: str, device: str) -> bool:
    return asked == "auto" or (asked == "cpu") == (device == "cpu")


def _runs_beside(root: Path) -> Iterator[RunDirectory]:
    yield from SweepDirectory(root)
    with contextlib.suppress(OSError):
        for beside in sorted(root.parent.iterdir()):
            if beside != root and (beside / "commands").is_dir():
                yield from SweepDirectory(beside)


def check_hours(found: Iterable[Estimate], most: float) -> None:
    """Refuse a plan whose new runs take longer.

    Raises:
        BadInput: the estimate with its error is above `most` hours, or there is none of some cell.
    """
    cells = list(found)
    if unknown := [one.cell for one in cells if one.seconds is None]:
        raise BadInput(
            f"--max-hours={most:g}: no estimate for {len(unknown)} of {len(cells)} cells ({unknown[0]}): add --pilot, "
            "or let one run of each end first"
        )
    seconds, error = total(cells)
    if seconds + error > most * 3600:
        raise BadInput(
            f"--max-hours={most:g}: the new runs take {seconds / 3600:.2g} ± {error / 3600:.1g} hours of a worker"
        )


def total(cells: Iterable[Estimate]) -> tuple[float, float]:
    """Seconds of all cells that have an estimate, and their error: the errors of like cells are one, so they add."""
    known = [one for one in cells if one.seconds is not None]
    return sum(one.seconds or 0.0 for one in known), sum(one.error or 0.0 for one in known)
