"""Every way a run can end, in real workers: what is recorded, and whether anything tries the run again."""

import csv
import io
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import faults
import pytest
import torch
from harness import attempts, execute, finish, plan, results, runtime, wait_until
from safetensors.torch import load_file

from taunode.runs.claim import forget_result
from taunode.runs.directory import RunDirectory
from taunode.runs.observe import look
from taunode.runs.state import BROKEN, State
from taunode.work.assignment import Assignment
from taunode.work.attempt import NoFiles, train
from taunode.work.here import run_in_process


def ends(run: RunDirectory) -> list[str]:
    return [attempt["end"] for attempt in attempts(run)]


def state(run: RunDirectory) -> State:
    return look(run)[2]


def progress(run: RunDirectory) -> Callable[[], bool]:
    return lambda: bool(run.checkpoints())


def child_of(run: RunDirectory) -> Callable[[], bool]:
    """Whether a hanging child has said who it is."""
    return lambda: (run.path / "child").exists() and (run.path / "child").read_text() != ""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_done(run: RunDirectory) -> None:
    finish([run])
    record = run.read_record()
    assert (state(run), record.state, ends(run)) == (State.DONE, "done", ["finished"])
    assert record.summary["epochs"] == 2
    assert record.summary["steps"] == 8
    assert not run.checkpoints()
    before = results(run)
    finish([run])
    assert run.attempts() == 1
    assert results(run) == before


@pytest.mark.parametrize(
    ("fault", "expected", "end"),
    [
        (faults.exception, State.FAILED, "ValueError: the first line"),
        (faults.exit_3, State.FAILED, "exit 3"),
        (faults.exit_silently, State.FAILED, "exit 0"),
        (faults.segmentation_fault, State.FAILED, "killed by SIGSEGV"),
        (faults.no_memory, State.OUT_OF_MEMORY, "MemoryError: "),
        (faults.no_memory_in_torch, State.OUT_OF_MEMORY, "RuntimeError: [enforce fail]"),
    ],
)
def test_its_own_fault_costs_only_the_run_and_is_not_tried_again(
    fault: Callable[[], None], expected: State, end: str, run: RunDirectory
) -> None:
    finish([run], fault=fault)
    assert state(run) is expected
    assert run.read_record().state == expected
    assert ends(run)[0].startswith(end)
    finish([run])
    assert run.attempts() == 1


def test_an_exception_leaves_its_traceback(run: RunDirectory) -> None:
    finish([run], fault=faults.exception)
    assert "the first line\nthe second" in run.error(1).read_text()
    assert ends(run)[0] in run.log(1).read_text()


def test_resume_tries_a_broken_run_once_a_command(run: RunDirectory) -> None:
    finish([run], fault=faults.exception)
    finish([run], fault=faults.exception, also=BROKEN, newest=1)
    assert run.attempts() == 2
    finish([run], also=BROKEN, newest=1)
    assert run.attempts() == 2
    finish([run], also=BROKEN, newest=2)
    assert state(run) is State.DONE


def test_killed_once_is_done_by_the_same_worker(run: RunDirectory) -> None:
    finish([run], fault=faults.killed_once)
    assert state(run) is State.DONE
    assert ends(run) == ["killed by SIGKILL", "finished"]


def test_killed_every_time_is_failed_after_three_attempts(run: RunDirectory) -> None:
    finish([run], fault=faults.killed_always)
    assert state(run) is State.FAILED
    assert run.attempts() == 3
    assert "without progress" in ends(run)[-1]


def test_killed_with_its_worker_is_planned_again(run: RunDirectory) -> None:
    worker = execute([run], fault=faults.hangs)
    wait_until(child_of(run), worker)
    child = int((run.path / "child").read_text())
    assert state(run) is State.RUNNING
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    wait_until(lambda: not is_alive(child))
    assert state(run) is State.PLANNED
    finish([run])
    assert state(run) is State.DONE


def test_killed_with_three_workers_in_a_row_is_failed(run: RunDirectory) -> None:
    for attempt in (1, 2, 3):
        worker = execute([run], fault=faults.hangs)
        wait_until(lambda attempt=attempt: run.log(attempt).exists(), worker)
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        assert state(run) is State.PLANNED
    finish([run])
    assert state(run) is State.FAILED
    assert not run.log(4).exists()
    finish([run], also=BROKEN, newest=4)
    assert state(run) is State.DONE


@pytest.mark.parametrize(
    ("number", "end"),
    [
        (signal.SIGINT, "interrupted"),
        (signal.SIGTERM, "stopped by SIGTERM"),
        (signal.SIGUSR2, "stopped by SIGUSR2"),
        (signal.SIGHUP, "stopped by SIGHUP"),
    ],
)
def test_a_signal_saves_and_leaves_the_run_planned(number: signal.Signals, end: str, long_run: RunDirectory) -> None:
    worker = execute([long_run], checkpoint_seconds=1000.0)
    wait_until(lambda: long_run.metrics(1).exists() and long_run.metrics(1).stat().st_size, worker)
    os.kill(worker.pid, number)
    worker.join()
    assert worker.exitcode == 0
    assert (state(long_run), ends(long_run)) == (State.PLANNED, [end])
    assert long_run.checkpoints() == [1]
    assert "killed" not in attempts(long_run)[0]


def test_the_second_ctrl_c_does_not_wait(run: RunDirectory) -> None:
    worker = execute([run], fault=faults.hangs)
    wait_until(child_of(run), worker)
    os.kill(worker.pid, signal.SIGINT)
    assert is_alive(worker.pid)
    wait_until(lambda: signal.SIGINT not in _pending(worker.pid))
    os.kill(worker.pid, signal.SIGINT)
    worker.join()
    assert (state(run), ends(run)) == (State.PLANNED, ["interrupted"])


def _pending(pid: int) -> set[signal.Signals]:
    """Signals that were sent to a process and not delivered yet: two equal ones would become one."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd", "ShdPnd"))]
    return {number for number in signal.Signals for mask in masks if mask >> (number - 1) & 1}


def test_diverged_is_a_result_that_keeps_its_whole_epochs(tmp_path: Path) -> None:
    """The rate of the third epoch's first step is 1e29: the loss of the second one is not a number."""
    overrides = ("arch.norm=none", "schedule.epochs=5", "schedule.milestones=[2]", "schedule.factor=1e30")
    (run,) = plan(tmp_path, *overrides)
    finish([run])
    summary = run.read_record().summary
    assert state(run) is State.DIVERGED
    assert (summary["diverged_epoch"], summary["diverged_step"], summary["epochs"]) == (3, 2, 2)
    with open(run.path / "metrics.csv") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    assert all(tensor.isfinite().all() for tensor in load_file(run.path / "model.safetensors").values())
    finish([run], also=BROKEN, newest=1)
    assert run.attempts() == 1


def test_a_stopped_worker_is_stalled_and_its_run_is_taken_over(run: RunDirectory) -> None:
    worker = execute([run], fault=faults.hangs, lease_seconds=0.4)
    wait_until(child_of(run), worker)
    child = int((run.path / "child").read_text())
    os.kill(worker.pid, signal.SIGSTOP)
    wait_until(lambda: state(run) is State.STALLED)
    finish([run])
    assert attempts(run)[1]["took_over"].startswith("attempt 1, silent for")
    before, record = results(run), run.record.read_bytes()
    os.kill(worker.pid, signal.SIGCONT)
    worker.join()
    assert worker.exitcode == 0
    assert not is_alive(child)
    assert (results(run), run.record.read_bytes()) == (before, record)
    assert state(run) is State.DONE


def test_a_worker_that_slept_for_half_the_lease_kills_its_child_and_goes_on(run: RunDirectory) -> None:
    worker = execute([run], fault=faults.hangs_once, lease_seconds=3.0)
    wait_until(child_of(run), worker)
    os.kill(worker.pid, signal.SIGSTOP)
    silent = run.claim(1).stat().st_mtime
    wait_until(lambda: look(run)[1].silent > 2)
    assert state(run) is State.RUNNING
    assert run.claim(1).stat().st_mtime == silent
    os.kill(worker.pid, signal.SIGCONT)
    worker.join()
    assert state(run) is State.DONE
    assert ends(run) == ["its worker could not say for half the lease that it lives", "finished"]


def test_an_owner_that_cannot_beat_stops_by_itself(run: RunDirectory) -> None:
    finish([run], fault=faults.no_heartbeat_once, lease_seconds=0.6)
    assert state(run) is State.DONE
    assert ends(run) == ["its worker could not say for half the lease that it lives", "finished"]


def test_again_starts_from_zero_and_gives_the_same(run: RunDirectory) -> None:
    finish([run], keep_checkpoint=True)
    before = results(run)
    assert run.checkpoints() == [1]
    forget_result(run)
    assert state(run) is State.PLANNED
    assert results(run) == before
    finish([run])
    assert state(run) is State.DONE
    assert run.attempts() == 2
    assert "goes on" not in run.log(2).read_text()
    assert os.path.samefile(run.path / "metrics.csv", run.metrics(2))
    assert results(run) == before


def test_again_takes_nothing_from_a_run_that_is_not_finished(long_run: RunDirectory) -> None:
    worker = execute([long_run])
    wait_until(progress(long_run), worker)
    os.kill(worker.pid, signal.SIGTERM)
    worker.join()
    forget_result(long_run)
    assert long_run.checkpoints() == [1]


def test_an_attempt_records_what_its_rounding_depends_on(run: RunDirectory) -> None:
    """Threads of null are a number, and a later attempt keeps it."""
    finish([run], fault=faults.killed_always, threads=None)
    threads = len(os.sched_getaffinity(0))
    assert [attempt["runtime"]["threads"] for attempt in attempts(run)] == [threads] * 3
    assert run.read_record().attempts[-1]["runtime"]["threads"] == threads


def test_only_the_newest_checkpoint_is_kept(long_run: RunDirectory) -> None:
    for attempt in (1, 2):
        worker = execute([long_run])
        wait_until(lambda attempt=attempt: attempt in long_run.checkpoints(), worker)
        os.kill(worker.pid, signal.SIGTERM)
        worker.join()
    assert long_run.checkpoints() == [2]


def test_a_run_that_cannot_be_claimed_does_not_end_the_worker(run: RunDirectory, tmp_path: Path) -> None:
    finish([RunDirectory(tmp_path / "nothing")], fault=faults.claims_are_refused)
    finish([run])
    assert state(run) is State.DONE


def test_in_this_process_ctrl_c_saves_and_the_next_call_goes_on(long_run: RunDirectory, run: RunDirectory) -> None:
    """For notebooks: no child, a thread beats the claim."""

    def interrupt() -> None:
        wait_until(lambda: long_run.metrics(1).exists() and long_run.metrics(1).stat().st_size)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_in_process(Assignment(long_run, runtime()), frozenset())
    thread.join()
    assert (state(long_run), ends(long_run)) == (State.PLANNED, ["interrupted"])
    assert run_in_process(Assignment(run, runtime()), frozenset()) is State.DONE
    assert run_in_process(Assignment(run, runtime()), frozenset()) is None


def test_a_last_batch_of_one_image_is_told_before_the_first_step(tmp_path: Path) -> None:
    """Where features are 1×1, of which batch normalisation sees one value a channel; else it has several."""
    words = ("arch.norm=batch", "dataset.train_images=17", "dataset.crop_padding=0")
    small, large = (plan(tmp_path / str(size), *words, f"dataset.image_size={size}")[0] for size in (4, 8))
    for run in (small, large):
        finish([run])
    assert (state(small), state(large)) == (State.FAILED, State.DONE)
    said = small.log(1).read_text()
    assert "schedule.batch_size=16 leaves a last batch of one image" in said
    assert "train loss" not in said


def test_tf32_is_the_users_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever torch allows by itself: to convolutions it does."""
    seen = []
    monkeypatch.setattr("taunode.work.attempt.fit", lambda *rest, **more: seen.append(tf32()) or {})
    for precision in ("tf32", "fp32"):
        (run,) = plan(tmp_path / precision, f"precision={precision}")
        train(run, 1, NoFiles(), runtime(cache_dir=str(tmp_path)), lambda: False, io.StringIO(), None, None)
    assert seen == [(True, True), (False, False)]


def tf32() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
