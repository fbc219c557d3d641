"""What people look at while runs are executed: readable at any width, and piped a line a change."""

import io
from pathlib import Path

import pytest
from cli import plan
from rich.console import Console

from taunode.plan.write import write
from taunode.runs.claim import take
from taunode.runs.directory import RunDirectory
from taunode.runs.state import State
from taunode.show.listing import listing
from taunode.show.status import Outcome, Status, short_names, status, summary
from taunode.show.watch import Watch

SUMMARY = {"epochs": 1, "final_test_error": 12.5, "seconds": 10.0}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunDirectory]:
    """40 runs; the first is at work, the second has failed, the third is done."""
    monkeypatch.chdir(tmp_path)
    made = plan("seed=range(0,10)", "tau=one,inverse_sqrt", "arch.norm=batch,none")
    write(made)
    runs = [planned.run for planned in made.runs]
    take(runs[0], {}, lease=60.0)
    runs[0].metrics(1).write_text("epoch,test_error\n1,55.5\n")
    runs[0].timings(1).write_text("epoch,seconds\n1,30\n")
    take(runs[1], {}, lease=60.0).end(State.FAILED, "ValueError: [/x] and \x1b[31m")
    take(runs[2], {}, lease=60.0).end(State.DONE, "finished", summary=SUMMARY)
    return runs


def drawn(watch: Watch, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, color_system=None).print(watch.table(width))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_line_a_run_at_any_width(width, runs):
    lines = drawn(Watch(Path("sweep"), runs), width)
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("sweep: 37 planned, 1 running, 1 done, 1 failed")
    assert "1/40" in lines[1]
    assert len(lines) == 5  # counts, the bar, the heads, one that failed, one at work
    (at_work,) = [line for line in lines if "running" in line and "/" in line]
    assert "1/1" in at_work
    assert runs[0].path.name[:20] in at_work
    text = "\n".join(lines)
    assert "12.50" not in text  # what is done is counted, not listed
    assert ("pid" in text) == (width >= 120)
    assert "\x1b[31m" not in text
    if width >= 120:
        assert r"[/x] and \x1b[31m" in text


def test_piped_a_line_a_change(runs, capsys):
    watch = Watch(Path("sweep"), runs)
    watch.print_changes()
    assert capsys.readouterr().out == ""
    take(runs[3], {}, lease=60.0).end(State.DONE, "finished", summary=SUMMARY)
    take(runs[4], {}, lease=60.0).end(State.DIVERGED, "NaN", summary={**SUMMARY, "diverged_epoch": 2})
    watch.look()  # somebody else has looked in between
    watch.print_changes()
    out = capsys.readouterr().out.splitlines()
    assert [line.split("]")[0] for line in out] == ["[3/40", "[4/40"]
    assert "done, test error 12.50 %" in out[0]
    assert "diverged (in epoch 2)" in out[1]
    watch.print_changes()
    assert capsys.readouterr().out == ""


def test_pace_and_time_left(runs):
    watch = Watch(Path("sweep"), runs)
    assert watch.pace() is None
    watch._began -= 3600.0
    for run in runs[3:13]:
        take(run, {}, lease=60.0).end(State.DONE, "finished", summary=SUMMARY)
    watch.look()
    an_hour, left = watch.pace()
    assert an_hour == pytest.approx(10, rel=0.01)
    assert left == pytest.approx((40 - 1 - 1 - 1 - 10) * 360, rel=0.02)  # the failed one is not waited for


def exit_code(*states: State | None, interrupted: bool = False, unknown: bool = False) -> int:
    return Outcome(Path("s"), [Status("r", state) for state in states], interrupted, unknown).exit_code


def test_exit_codes():
    assert exit_code(State.DONE, State.DIVERGED) == 0
    assert exit_code(State.DONE, State.FAILED) == 1
    assert exit_code(State.DONE, State.PLANNED) == 1  # nobody could begin with it
    assert exit_code(State.DONE, None) == 1
    assert exit_code(State.DONE, State.RUNNING) == 3
    assert exit_code(State.QUEUED, State.STALLED) == 3
    assert exit_code(State.QUEUED, State.FAILED) == 1
    assert exit_code(State.PLANNED, unknown=True) == 3
    assert exit_code(State.DONE, interrupted=True) == 130


def test_names_without_the_signature_where_that_is_clear():
    assert short_names(["a=1-01234567", "a=2-01234567"]) == ["a=1", "a=2"]
    assert short_names(["a=1-01234567", "a=1-89abcdef", "x"]) == ["a=1-01234567", "a=1-89abcdef", "x"]


def test_a_run_that_cannot_be_read_is_a_line_like_any_other(runs):
    runs[5].record.write_text("{")
    seen = status(runs[5])
    assert (seen.state, seen.word, seen.has_failed) == (None, "unreadable", True)
    assert "is not JSON" in seen.note


def test_what_came_out():
    assert summary([]) == ""
    two = [SUMMARY, {**SUMMARY, "final_test_error": 20.0}, {"diverged_epoch": 1, "seconds": 5.0}]
    assert summary(two) == "3 results: test error 12.50 to 20.00 %, median 16.25 %; 1 diverged; 25 s of training"


def test_all_sweeps_below_a_directory(runs, tmp_path):
    (tmp_path / "notes" / "runs").mkdir(parents=True)  # somebody else's
    write(plan("seed=1", "hydra.sweep.dir=deep/er/other"))
    out = io.StringIO()
    Console(file=out, width=120).print(listing(tmp_path, 120))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert {line.split()[0] for line in lines[1:]} == {"sweep", "deep/er/other"}
    (ours,) = [line for line in lines if line.startswith("sweep ") and "40" in line]
    assert "37 planned, 1 running, 1 done, 1 failed" in ours
    assert "ago" in ours
