"""Commands on this machine that meet at one sweep, and how they are stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from cli import TINY, environment, records, start

LONG = [word for word in TINY if not word.startswith("schedule.epochs")]
ENDLESS = (*LONG, "schedule.epochs=100000", "runtime.checkpoint_seconds=0.05")


def sweep_command(*arguments: str, cwd: Path, code: int = 0) -> str:
    script = "from taunode.command.sweep import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=cwd, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def wait_for(cwd: Path, pattern: str) -> list[Path]:
    while not (found := sorted(cwd.glob(pattern))):
        time.sleep(0.02)
    return found


def test_two_commands_share_a_sweep_and_both_wait_for_all_of_it(tmp_path):
    command = ("-m", *LONG, "schedule.epochs=6", "seed=range(0,6)", "hydra.sweep.dir=sweep")
    both = [start(*command, cwd=tmp_path) for _ in range(2)]
    for process in both:
        out, err = process.communicate()
        assert process.returncode == 0, out + err
        assert "sweep: 6 done" in out
    assert {len(record["attempts"]) for record in records(tmp_path / "sweep").values()} == {1}
    assert len(list((tmp_path / "sweep" / "runs").iterdir())) == 6


def test_planners_at_one_moment_that_name_runs_differently_plan_each_once(tmp_path):
    one = ("-m", *TINY, "seed=0,1,2", "hydra.sweep.dir=sweep")
    other = ("-m", *TINY, "seed=0,1,2", "tau=one,constant", "hydra.sweep.dir=sweep")  # which are the same runs
    both = [start(*command, cwd=tmp_path) for command in (one, other)]
    for process in both:
        out, err = process.communicate()
        assert process.returncode == 0, out + err
    found = records(tmp_path / "sweep")
    assert len(found) == len({record["signature"] for record in found.values()}) == 3
    assert {len(record["attempts"]) for record in found.values()} == {1}


def test_a_run_of_another_command_is_waited_for(tmp_path):
    first = start(*ENDLESS, "hydra.run.dir=run", cwd=tmp_path)
    wait_for(tmp_path, "run/checkpoint.1.pt")
    second = start(*ENDLESS, "hydra.run.dir=run", cwd=tmp_path)
    assert "another command executes it" in second.stderr.readline()
    os.kill(first.pid, signal.SIGTERM)
    first.communicate()
    wait_for(tmp_path, "run/claim.2")  # the second takes it over
    os.kill(second.pid, signal.SIGINT)
    out, err = second.communicate()
    assert second.returncode == 130
    assert "go on:  taunode-sweep resume run" in out, out + err


def test_cancel_stops_a_local_sweep_and_resume_goes_on(tmp_path):
    command = start("-m", *ENDLESS, "seed=0,1,2", "hydra.sweep.dir=sweep", "hydra.launcher.workers=1", cwd=tmp_path)
    wait_for(tmp_path, "sweep/runs/*/checkpoint.1.pt")
    said = sweep_command("cancel", "sweep", cwd=tmp_path)
    assert "cancelled, at work: seed=0" in said
    assert "cancelled, waiting: seed=1" in said
    out, err = command.communicate()
    assert command.returncode == 1, out + err
    assert "3 cancelled" in out
    (first, *_) = records(tmp_path / "sweep").values()
    assert first["attempts"][0]["end"] == "cancelled"
    assert "nothing of it is at work" in sweep_command("cancel", "sweep", cwd=tmp_path)

    again = subprocess.Popen(
        [sys.executable, "-c", "from taunode.command.sweep import main; main()", "resume", "sweep", "--workers", "1"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for(tmp_path, "sweep/runs/seed=0*/log.2.txt")
    said = sweep_command("cancel", "sweep", "--where", "seed > 0", cwd=tmp_path)
    assert "cancelled, waiting" in said or "nothing of it" in said
    sweep_command("cancel", "sweep", cwd=tmp_path)
    again.communicate()
    assert again.returncode == 1


def test_a_worker_leaves_what_others_execute_with_a_code_of_its_own(tmp_path):
    command = start(
        "-m", *ENDLESS, "seed=0,1", "hydra.sweeper.where='seed == 0'", "hydra.sweep.dir=sweep", cwd=tmp_path
    )
    wait_for(tmp_path, "sweep/runs/*/checkpoint.1.pt")
    said = sweep_command("worker", "sweep", cwd=tmp_path, code=3)
    assert "the rest is with another command" in said
    sweep_command("cancel", "sweep", cwd=tmp_path)
    command.communicate()


@pytest.mark.parametrize("removed", ["at work", "waiting"])
def test_a_removed_run_is_removed_and_the_others_are_done(removed, tmp_path):
    long = (*LONG, "schedule.epochs=15", "runtime.checkpoint_seconds=0.01", "hydra.launcher.workers=1")
    command = start("-m", *long, "seed=0,1,2", "hydra.sweep.dir=sweep", cwd=tmp_path)
    (first, *_) = wait_for(tmp_path, "sweep/runs/*/checkpoint.1.pt")
    runs = sorted((tmp_path / "sweep" / "runs").iterdir())
    gone = first.parent if removed == "at work" else runs[-1]
    shutil.rmtree(gone, ignore_errors=True)
    out, err = command.communicate()
    assert command.returncode == 1, out + err  # one of its runs has no result
    assert "Traceback" not in err
    assert Counter(record["state"] for record in records(tmp_path / "sweep").values())["done"] == 2
    if gone.exists():  # its owner was writing while it was removed
        assert not (gone / "done").exists()


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2])
def test_ctrl_c_at_any_moment_is_no_traceback(moment, tmp_path):
    """From the first line of the command on: in the imports, while it plans, while it trains."""
    script = "from taunode.train import main; print('begun', flush=True); main()"
    command = subprocess.Popen(
        [sys.executable, "-c", script, "-m", *ENDLESS, "seed=0,1", "hydra.sweep.dir=sweep"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout.readline() == "begun\n"
    time.sleep(moment)
    os.kill(command.pid, signal.SIGINT)
    out, err = command.communicate()
    assert command.returncode == 130, out + err
    assert "Traceback" not in err, err


LOST = """
import os, signal, sys, weakref
from taunode.train import main

class Thing: pass

def press(_):  # in a callback of a weak reference, of which the import system has many
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000): pass

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            thing = Thing()
            held = weakref.ref(thing, press)
            del thing

sys.meta_path.insert(0, Press())
main()
"""


@pytest.mark.parametrize("module", ["hydra", "taunode.plan.inspect", "hydra._internal.core_plugins"])
def test_ctrl_c_is_not_lost_where_python_drops_its_exception(module, tmp_path):
    script = LOST.format(module=module)
    words = ["-m", *ENDLESS, "seed=0,1", "hydra.sweep.dir=sweep"]
    command = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert command.returncode == 130, command.stdout + command.stderr
    assert "Exception ignored" in command.stderr
    assert not list(tmp_path.glob("sweep/runs/*/claim*"))


def test_ctrl_c_between_the_jobs_of_hydras_basic_launcher_ends_it(tmp_path):
    command = start("-m", *LONG, "schedule.epochs=3", "seed=range(0,40)", "hydra/launcher=basic",
                    "hydra.sweep.dir=sweep", cwd=tmp_path)  # fmt: skip
    wait_for(tmp_path, "sweep/runs/seed=0-*/done")
    os.kill(command.pid, signal.SIGINT)
    out, err = command.communicate()
    assert command.returncode == 130, out + err
    assert len(list(tmp_path.glob("sweep/runs/*/done"))) < 40
    states = {json.loads(path.read_bytes())["state"] for path in tmp_path.glob("sweep/runs/*/run.json")}
    assert states == {"done", "planned"}
