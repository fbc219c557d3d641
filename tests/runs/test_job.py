"""What is read from Slurm's words: recorded text of slurmstepd and srun, and a job's variables."""

import os
import signal
import time
from pathlib import Path

import pytest

from taunode.runs import job as module
from taunode.runs.directory import RunDirectory
from taunode.runs.job import Queue, job_here, memory_kills, read_ending, was_restarted, why_stopped
from taunode.runs.observe import observe
from taunode.runs.state import Observation, State, derive, may_start

CANCELLED = "slurmstepd-n1: error: *** STEP 4.0 ON n1 CANCELLED AT 2026-11-22T04:57:57"
WORDS = [
    (f"{CANCELLED} DUE TO TIME LIMIT ***", "timeout"),
    (f"srun: got SIGCONT\n{CANCELLED} DUE TO PREEMPTION ***\nsrun: forcing job termination", "preempted"),
    ("slurmstepd: error: *** JOB 4 ON n1 CANCELLED AT 2026-11-22T04:57:48 DUE TO JOB REQUEUE ***", "planned"),
    (f"{CANCELLED} DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***", "planned"),
    (f"{CANCELLED} ***", "cancelled"),
    (
        "slurmstepd: error: Detected 1 oom_kill event in StepId=4.0. Some of the tasks have been OOM Killed.",
        "out_of_memory",
    ),
    ("slurmstepd: error: Detected 1 oom-kill event(s) in step 4.0 cgroup.", "out_of_memory"),
    ("slurmstepd: error: Step 4.0 exceeded memory limit (2123456 > 1048576), being killed", "out_of_memory"),
    ("srun: error: n1: task 0: Out Of Memory", "out_of_memory"),
]


@pytest.mark.parametrize(("text", "state"), WORDS)
def test_why_a_job_was_ended(text, state):
    found = read_ending(f"something of the run's own\n{text}\n", "4")
    assert found is not None
    assert found[0] == state
    assert State(found[0])


@pytest.mark.parametrize("text", ["", "srun: error: n1: task 0: Exited with exit code 1", "Killed"])
def test_other_text_says_nothing(text):
    assert read_ending(text, "4") is None


def test_words_about_another_job_do_not_count():
    assert read_ending(f"{CANCELLED} ***", "40") is None


def job(tmp_path: Path, text: str) -> dict[str, object]:
    errors = tmp_path / "4_0_0_log.err"
    errors.write_text(text)
    about = {"id": "4", "job": "4_0", "name": "sweep-1", "restart": 0, "errors": str(errors), "offset": 0}
    return {**about, "user": "me", "cluster": "big"}


def test_only_what_was_written_since_the_attempt_began_counts(tmp_path):
    before = f"{CANCELLED} DUE TO JOB REQUEUE ***\n"
    about = job(tmp_path, before + f"{CANCELLED} DUE TO TIME LIMIT ***\n")
    assert module.ending(about)[0] == "planned"
    assert module.ending({**about, "offset": len(before)})[0] == "timeout"
    assert module.ending({**about, "errors": str(tmp_path / "nothing")}) is None


@pytest.mark.parametrize(
    ("received", "text", "state"),
    [
        ([signal.SIGUSR2], "", "timeout"),
        ([signal.SIGTERM], f"{CANCELLED} DUE TO PREEMPTION ***", "preempted"),
        ([signal.SIGUSR2, signal.SIGTERM], f"{CANCELLED} DUE TO TIME LIMIT ***", "timeout"),
        ([signal.SIGTERM], f"{CANCELLED} ***", "cancelled"),
        ([signal.SIGTERM], "", None),
        ([signal.SIGINT], f"{CANCELLED} ***", None),
    ],
)
def test_why_an_attempt_stopped(received, text, state, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    assert why_stopped(job(tmp_path, text), received).get("state") == state


def test_outside_of_slurm_there_is_no_reason():
    assert job_here({"PATH": "/bin"}) is None
    assert job_here({"SLURM_JOB_ID": "4"}) is None  # a shell of an allocation
    assert why_stopped(None, [signal.SIGTERM]) == {}


TASK = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_ARRAY_JOB_ID": "4", "SLURM_ARRAY_TASK_ID": "3"}


def test_a_task_of_an_array():
    here = job_here({**TASK, "SLURM_JOB_NAME": "sweep-1", "SLURM_RESTART_COUNT": "2"})
    assert (here["id"], here["job"], here["name"], here["restart"]) == ("7", "4_3", "sweep-1", 2)


def test_a_later_start_of_the_same_job_proves_that_the_earlier_has_ended(monkeypatch):
    owner = {"id": "7", "restart": 1}
    for number, restart, expected in (("7", "2", True), ("7", "1", False), ("8", "2", False)):
        for name, value in {**TASK, "SLURM_JOB_ID": number, "SLURM_RESTART_COUNT": restart}.items():
            monkeypatch.setenv(name, value)
        assert was_restarted(owner) is expected


def queue(asked: float, working: dict[str, float | None]) -> Queue:
    return Queue(asked, "big", frozenset({"me"}), working, {})


def test_a_job_that_the_queue_lacks():
    seen = queue(100.0, {"7": None})
    about = {"id": "8", "user": "me", "cluster": "big"}
    assert seen.lacks(about, since=90.0)
    assert not seen.lacks({**about, "id": "7"}, since=90.0)
    assert not seen.lacks(about, since=110.0)  # it began after squeue was asked
    assert not seen.lacks({**about, "user": "somebody else"}, since=90.0)  # whose jobs may be hidden
    assert not seen.lacks({**about, "cluster": "small"}, since=90.0)
    assert seen.lacks({**about, "cluster": None}, since=90.0)  # of an older release


@pytest.mark.parametrize(("text", "state"), WORDS)
def test_an_attempt_that_slurm_ended_before_it_could_say_so(text, state, run: RunDirectory, tmp_path):
    """Its owner has gone, says the queue: the state is what Slurm wrote."""
    from taunode.runs.claim import take
    from taunode.runs.files import write_json

    claim = take(run, {}, lease=60.0)
    slurm = run.path.parents[1] / "slurm"
    slurm.mkdir()
    about = job(slurm, text)
    claim.about["owner"]["slurm"] = about
    claim.about["owner"]["boot"] = None  # on a node elsewhere
    write_json(run.claim(1), claim.about)
    silent = time.time() - 40
    os.utime(run.claim(1), (silent, silent))
    gone, here = queue(time.time() + 1, {}), queue(time.time() + 1, {"4": None})
    assert derive(observe(run, run.read_record(), queue=here)) is State.RUNNING
    seen = observe(run, run.read_record(), queue=gone)
    assert derive(seen) == state
    assert seen.attempt["progressed"] is False
    assert may_start(derive(seen), seen.attempt) is (state in ("planned", "preempted"))
    run.checkpoint(1).write_bytes(b"state")
    assert observe(run, run.read_record(), queue=gone).attempt["progressed"] is True


def test_what_slurm_said_counts_only_once_the_owner_is_silent_or_gone():
    attempt = {"lease": 10.0}
    assert derive(Observation(1, attempt, silent=1.0, told=State.TIMEOUT)) is State.RUNNING
    assert derive(Observation(1, attempt, silent=11.0, told=State.TIMEOUT)) is State.TIMEOUT
    assert derive(Observation(1, attempt, silent=11.0, told=State.PLANNED), retried=()) is State.QUEUED


@pytest.mark.parametrize(
    ("lines", "file", "text", "kills"),
    [
        ("0::/job_4/step_0\n", "job_4/step_0/memory.events", "low 0\noom 3\noom_kill 2\n", 2),
        ("9:cpu:/x\n4:memory:/slurm/job_4\n", "memory/slurm/job_4/memory.oom_control", "under_oom 0\noom_kill 1\n", 1),
        ("0::/elsewhere\n", "job_4/memory.events", "oom_kill 2\n", 0),
    ],
)
def test_processes_that_the_kernel_killed_for_memory(lines, file, text, kills, tmp_path):
    (tmp_path / "cgroup").write_text(lines)
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    assert memory_kills(str(tmp_path / "cgroup"), str(tmp_path)) == kills
    assert memory_kills(str(tmp_path / "nothing"), str(tmp_path)) == 0
