"""Hours of a plan: from runs of the same shape, with the error of one more; and what is refused."""

import json
import math
from pathlib import Path

import pytest
from cli import ended
from harness import TINY, finish, plan

from taunode.command.sweep import main
from taunode.errors import BadInput
from taunode.show.estimate import Estimate, check_hours, shape, total

CELL = Estimate("depth=8", 2, 3600.0, 360.0, "3 runs on cpu")
UNKNOWN = Estimate("depth=14", 2, None, None, "nothing like it has been run")


def test_a_plan_above_the_hours_is_refused_with_its_error() -> None:
    check_hours([CELL], 1.2)
    with pytest.raises(BadInput, match=r"--max-hours=1: the new runs take 1 ± 0\.1 hours"):
        check_hours([CELL], 1.0)


def test_what_nobody_knows_is_refused_with_the_way_to_know() -> None:
    with pytest.raises(BadInput, match=r"no estimate for 1 of 2 cells \(depth=14\): add --pilot"):
        check_hours([CELL, UNKNOWN], 1e6)


def test_nothing_new_takes_no_time() -> None:
    check_hours([], 0.0)
    assert total([CELL, UNKNOWN]) == (3600.0, 360.0)


def test_epochs_seed_tau_and_rate_leave_the_shape() -> None:
    same = {
        "arch": {"depth": 8},
        "schedule": {"batch_size": 16, "epochs": 2, "lr": 0.1},
        "seed": 0,
        "tau": {"scale": 1},
    }
    other = same | {"schedule": {"batch_size": 16, "epochs": 9, "lr": 0.2}, "seed": 1, "tau": {"scale": 2}}
    assert shape(same) == shape(other) != shape(same | {"arch": {"depth": 14}})


def test_the_hours_are_those_of_the_runs_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = plan(tmp_path / "sweep", seeds=2)
    finish(runs)
    for run, seconds in zip(runs, (3000.0, 4200.0), strict=True):  # an epoch
        for path in (run.record, run.done):
            record = json.loads(path.read_bytes())
            record["summary"]["seconds"] = seconds * record["summary"]["epochs"]
            path.write_text(json.dumps(record))
    words = [*TINY, "runtime.device=cpu", "seed=5", f"hydra.sweep.dir={tmp_path / 'other'}"]  # beside it

    def asked(*more: str) -> tuple[int | str, str, str]:
        return ended("taunode-sweep", main, ["plan", *more, *words], monkeypatch, capfd)

    code, out, _ = asked("--dry-run")
    epochs = runs[0].read_record().facts["epochs_planned"]
    mean, error = 3600.0 * epochs, 600 * math.sqrt(2) * epochs * math.sqrt(1 + 1 / 2)
    assert code == 0
    assert f"{mean / 3600:.2g} ± {error / 3600:.1g}" in out
    assert "2 runs on cpu" in out
    code, _, err = asked("--max-hours", "0.5")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "other").exists()


def test_a_pilot_knows_what_has_never_been_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [*TINY, "runtime.device=cpu", f"hydra.sweep.dir={tmp_path / 'new'}"]
    asked = ["plan", "--dry-run", "--pilot", "--max-hours", "24", *words]
    code, out, _ = ended("taunode-sweep", main, asked, monkeypatch, capfd)
    assert code == 0
    assert "a pilot on cpu" in out
    assert not (tmp_path / "new").exists()
