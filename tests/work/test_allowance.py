"""A worker's share of the runs, in number and in time."""

import time

from harness import finish, plan

from taunode.runs.directory import RunDirectory
from taunode.work.allowance import Allowance


def test_so_many_different_runs():
    allowance = Allowance(runs=2)
    runs = [RunDirectory(name) for name in ("a", "b", "c")]
    for run in (runs[0], runs[0], runs[1]):  # the first was killed, and is tried again
        assert allowance.allows(run)
        with allowance.taking(run):
            pass
    assert [allowance.allows(run) for run in runs] == [True, True, False]
    assert not allowance.short


def test_none_begins_when_less_time_is_left_than_the_longest_took():
    run, other = RunDirectory("a"), RunDirectory("b")
    allowance = Allowance(until=time.time() + 50)
    allowance.taken[str(run.path)] = 40.0
    assert allowance.allows(other)
    allowance.taken[str(run.path)] = 60.0
    assert not allowance.allows(other)
    assert allowance.short


def test_the_first_begins_however_little_is_left():
    assert Allowance(until=time.time() - 5).allows(RunDirectory("a"))


def test_without_an_allowance_a_worker_takes_all(tmp_path):
    runs = plan(tmp_path, seeds=2)
    finish(runs)
    assert [run.attempts() for run in runs] == [1, 1]
