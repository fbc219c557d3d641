"""What must hold of a sweep after every round: no run is lost, none is doubled, none is wrong."""

import json
import os
from pathlib import Path

from harness import RESULTS, attempts

from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.observe import look
from taunode.runs.state import State

TIMES = ("seconds", "images_per_second", "peak_memory", "device", "gflop_per_second", "percent_of_peak")


def has_result(run: RunDirectory) -> bool:
    return os.path.lexists(run.done)


def result(run: RunDirectory) -> dict[str, object]:
    """What a run is there for: its tables, its weights, its summary but for the times."""
    files: dict[str, object] = {name: (run.path / name).read_bytes() for name in RESULTS}
    summary = run.read_record().summary
    assert summary == run.read_done()["summary"] or not summary, f"{run}: run.json has another summary than `done`"
    kept = {key: value for key, value in run.read_done()["summary"].items() if not key.startswith(TIMES)}
    return {**files, "config.yaml": run.config.read_bytes(), "summary": kept}


def undisturbed(sweep: Path) -> dict[str, dict[str, object]]:
    """The results of a sweep that nothing has disturbed."""
    found = {run.path.name: result(run) for run in SweepDirectory(sweep)}
    assert found
    return found


def judge(sweep: Path, due: dict[str, dict[str, object]]) -> None:
    """
    Raises:
        AssertionError: the sweep does not hold each run once, done, with the bytes of the undisturbed one.
    """
    runs = {run.path.name: run for run in SweepDirectory(sweep)}
    assert sorted(runs) == sorted(due), f"lost {set(due) - set(runs)}, more than due {set(runs) - set(due)}"
    assert len({run.read_record().signature for run in runs.values()}) == len(runs), "a run was planned twice"
    for name, run in runs.items():
        assert look(run)[2] is State.DONE, f"{name} is {look(run)[2]}"
        done = json.loads(run.done.read_bytes())
        ended = [attempt["attempt"] for attempt in attempts(run) if attempt.get("state") == State.DONE]
        # A worker killed between `done` and its own record leaves the latter without an end.
        assert ended in ([done["attempt"]], []), f"{name} was done by {ended}, and `done` names {done['attempt']}"
        for plain, numbered in (("model.safetensors", run.model), ("metrics.csv", run.metrics)):
            assert os.path.samefile(run.path / plain, numbered(done["attempt"])), f"{name}: {plain} is of another"
        found = result(run)
        wrong = [part for part, value in due[name].items() if found[part] != value]
        assert not wrong, f"{name}: {wrong} differ from an undisturbed run's"
