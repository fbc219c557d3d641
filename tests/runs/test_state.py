"""The state of a run as a pure function of what its directory shows."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taunode.runs.owner import identity, is_gone
from taunode.runs.state import Observation, State, derive, killed_in_a_row, may_start

STORED = ["planned", "preempted", "timeout", "failed", "out_of_memory", "cancelled"]


def test_a_run_that_nobody_has_tried_is_planned() -> None:
    assert derive(Observation()) is State.PLANNED
    assert derive(Observation(), retried=()) is State.QUEUED


@pytest.mark.parametrize("name", STORED)
def test_an_attempt_that_ended_says_the_state(name: str) -> None:
    seen = Observation(attempts=1, attempt={"state": name, "lease": 10.0}, silent=1e6)
    assert derive(seen) == name
    queued = name in ("planned", "preempted")
    assert derive(seen, retried=()) == ("queued" if queued else name)


@pytest.mark.parametrize("name", ["done", "diverged"])
def test_done_says_the_result_whatever_claims_there_are(name: str) -> None:
    done = {"state": name, "summary": {}}
    assert derive(Observation(attempts=2, attempt={"lease": 10.0}, silent=1e6, done=done)) == name
    assert derive(Observation(done=done), retried=()) == name


@pytest.mark.parametrize("name", ["done", "diverged"])
def test_a_result_without_done_is_to_be_done_again(name: str) -> None:
    assert derive(Observation(attempts=1, attempt={"state": name, "lease": 10.0})) is State.PLANNED


def test_an_attempt_without_an_end_runs_until_its_owner_is_silent_or_gone() -> None:
    attempt = {"lease": 10.0}
    assert derive(Observation(1, attempt, silent=9.0)) is State.RUNNING
    assert derive(Observation(1, attempt, silent=11.0)) is State.STALLED
    assert derive(Observation(1, attempt, silent=1.0, gone=True)) is State.PLANNED
    assert derive(Observation(1, attempt, silent=9.0), retried=()) is State.RUNNING


@pytest.mark.parametrize("state", State)
def test_what_any_worker_may_start(state: State) -> None:
    goes_on = state in (State.PLANNED, State.QUEUED, State.PREEMPTED, State.STALLED)
    assert may_start(state, {"progressed": False}) is goes_on
    assert may_start(state, {"progressed": True}) is (goes_on or state is State.TIMEOUT)


def test_what_was_sent_again_is_queued() -> None:
    """A run that ran out of memory, or out of time, and whose next try waits for a processor."""
    for name in ("out_of_memory", "timeout", "failed"):
        seen = Observation(attempts=2, attempt={"state": name, "lease": 10.0})
        assert derive(seen, retried={2}) is State.QUEUED
        assert derive(seen, retried={1}) == name
    timed_out = Observation(attempts=1, attempt={"state": "timeout", "lease": 10.0, "progressed": True})
    assert derive(timed_out, retried=()) is State.QUEUED


def test_a_fresh_heartbeat_counts_more_than_the_queue() -> None:
    attempt = {"lease": 10.0}
    assert derive(Observation(1, attempt, silent=4.0, unemployed=True), retried=()) is State.RUNNING
    assert derive(Observation(1, attempt, silent=6.0, unemployed=True), retried=()) is State.QUEUED
    assert derive(Observation(1, attempt, silent=1.0, gone=True)) is State.PLANNED


def test_this_process_is_not_gone() -> None:
    assert not is_gone(identity(), silent=1e9)


def test_a_process_that_ended_is_gone_even_if_nobody_has_reaped_it() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    owner = {**identity(), "pid": child}
    while Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.001)
    assert is_gone(owner, silent=0.0)
    os.waitpid(child, 0)
    assert is_gone(owner, silent=0.0)


def test_another_process_with_the_same_number_is_not_the_owner() -> None:
    assert is_gone({**identity(), "started": "1"}, silent=0.0)


def test_who_lives_elsewhere_cannot_be_proven_dead() -> None:
    owner = {**identity(), "pid": 2**30}
    assert is_gone(owner, silent=0.0)
    assert not is_gone({**owner, "host": "elsewhere"}, silent=1e9)
    assert not is_gone({**owner, "namespace": "pid:[1]"}, silent=1e9)
    assert not is_gone({**owner, "boot": None}, silent=1e9)


def test_a_machine_that_started_again_has_lost_its_processes_but_one_of_the_same_name_has_not() -> None:
    owner = {**identity(), "boot": "another"}
    assert is_gone(owner, silent=time.clock_gettime(time.CLOCK_BOOTTIME) + 60)
    assert not is_gone(owner, silent=0.0)


HERE: list[list[int]] = [[1, 100]]
KILLED = {"killed": True, "state": "planned", "checkpoints": HERE}
LEFT_OPEN = {"checkpoints": HERE}  # killed with its worker
STOPPED = {"state": "planned", "checkpoints": HERE}


@pytest.mark.parametrize(
    ("attempts", "count"),
    [
        ([], 0),
        ([KILLED], 1),
        ([KILLED, LEFT_OPEN, KILLED], 3),
        ([KILLED, STOPPED, KILLED], 1),
        ([{**KILLED, "checkpoints": []}, KILLED], 1),  # the first one made progress
        ([KILLED, {**KILLED, "took_over": "…"}, KILLED], 2),  # from one that was only silent
    ],
)
def test_kills_in_a_row_without_progress(attempts: list[dict[str, object]], count: int) -> None:
    assert killed_in_a_row(attempts, HERE) == count


def test_states_and_claims_need_no_torch() -> None:
    modules = "taunode.runs.state, taunode.runs.claim, taunode.runs.directory, taunode.runs.signature"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
