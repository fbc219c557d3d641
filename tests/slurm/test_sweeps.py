"""Sweeps on a cluster: each run exactly once, whoever is killed, whatever is refused, however many commands."""

import csv
import os
import signal
import time
from collections import Counter
from itertools import pairwise

import pytest

import multirun_analysis
from slurm.cluster import TINY, Cluster

QUICK = {"TAUNODE_TEST_TRAINING": "quick"}


@pytest.fixture
def cluster(accounted: Cluster) -> Cluster:
    accounted.diary.unlink(missing_ok=True)
    return accounted


def executed(cluster: Cluster, sweep: str) -> Counter[str]:
    """How often each run of a sweep was executed to its end."""
    names = {run.path.name for run in cluster.runs(sweep)}
    return Counter(name for name, *_ in cluster.entries() if name in names)


def test_the_launcher_is_killed_right_after_submission(cluster):
    """As soon as the queue shows a job; conf/ is edited while the runs wait: they do not see it."""
    options = cluster.folder / "mine" / "schedule"
    options.mkdir(parents=True)
    (options / "short.yaml").write_text("defaults: [cifar, _self_]\nfactor: 0.9\n")
    command = ("-m", *TINY, "schedule=short", "seed=range(0,6)", "hydra.sweep.dir=killed")
    sent = cluster.start("--config-dir", "mine", *command, "hydra.launcher.array_parallelism=1", **QUICK)
    cluster.wait(lambda: "taunode=killed-" in cluster.rig.run("squeue", "--noheader", "--format=%k"))
    os.kill(sent.pid, signal.SIGKILL)
    sent.wait()
    (options / "short.yaml").write_text("defaults: [cifar, _self_]\nfactor: 0.5\n")
    assert set(cluster.states("killed").values()) <= {"queued", "running", "done"}
    assert set(cluster.finish("killed").values()) == {"done"}
    assert set(executed(cluster, "killed").values()) == {1}
    assert {run.read_config()["schedule"]["factor"] for run in cluster.runs("killed")} == {0.9}


def test_120_runs_where_an_array_may_have_51(cluster):
    command = ("-m", *TINY, "seed=range(0,120)", "hydra.sweep.dir=many", "hydra.launcher.array_parallelism=51")
    said = cluster.taunode(*command, **QUICK)
    assert said.count("(51 tasks)") == 2
    assert "(18 tasks)" in said
    assert set(cluster.finish("many").values()) == {"done"}
    assert len(executed(cluster, "many")) == 120
    assert set(executed(cluster, "many").values()) == {1}
    indices = Counter(array for _, _, array, _ in cluster.entries())
    assert max(int(index) for *_, index in cluster.entries()) == 50
    assert len(indices) == 3


def test_an_array_is_refused(cluster):
    """By a limit that only sbatch knows of: what was submitted stands, the rest stays planned, `resume` completes."""
    cluster.limit("account", "root", "GrpSubmitJobs", 4)
    try:
        command = ("-m", *TINY, "seed=range(0,6)", "hydra.sweep.dir=refused", "hydra.launcher.max_array_size=3")
        said = cluster.taunode(*command, code=1, **QUICK)
        for words in (
            "refused: 3 runs submitted",
            "3 stay planned",
            "refused: sbatch:",
            "taunode-sweep resume refused",
        ):
            assert words in said
        assert sorted(cluster.finish("refused").values()) == ["done"] * 3 + ["planned"] * 3
    finally:
        cluster.limit("account", "root", "GrpSubmitJobs", -1)
    cluster.sweep("resume", "refused", **QUICK)
    assert set(cluster.finish("refused").values()) == {"done"}
    assert set(executed(cluster, "refused").values()) == {1}


def test_a_limit_of_submitted_jobs_that_sacctmgr_tells(cluster):
    cluster.limit("user", cluster.user, "MaxSubmitJobs", 4)
    try:
        command = ("-m", *TINY, "seed=range(0,6)", "hydra.sweep.dir=limited", "hydra.launcher.max_array_size=3")
        said = cluster.taunode(*command, code=1, **QUICK)
        assert "limited: 4 runs submitted" in said
        assert "2 stay planned" in said
        cluster.finish("limited")
    finally:
        cluster.limit("user", cluster.user, "MaxSubmitJobs", -1)
    cluster.sweep("resume", "limited", **QUICK)
    assert set(cluster.finish("limited").values()) == {"done"}


def test_two_commands_at_once_and_a_worker_beside_them(cluster):
    command = ("-m", *TINY, "seed=range(0,12)", "hydra.sweep.dir=shared")
    slow = {**QUICK, "TAUNODE_TEST_SECONDS": "0.5"}
    both = [cluster.start(*command, **slow) for _ in range(2)]
    cluster.wait(lambda: (cluster.folder / "shared" / "slurm").is_dir())
    helper = ("worker", "shared", "--workers", "1")
    worker = cluster.start(*helper, program="taunode-sweep", SLURM_STEP_ID="none", **slow)  # as quick as a task
    said, _ = worker.communicate()
    assert worker.returncode in (0, 3), said  # 3: it leaves the last run to a job
    for process in both:
        assert process.wait() == 0, process.communicate()
    assert set(cluster.finish("shared").values()) == {"done"}
    assert len(executed(cluster, "shared")) == 12
    assert set(executed(cluster, "shared").values()) == {1}
    assert "12 done" in said or "done" in said


def test_resume_of_the_failed_executes_just_these(cluster):
    """30 runs, 4 of them broken in 4 ways; then they are not broken any more."""
    command = ("-m", *TINY, "seed=range(0,34)", "hydra.sweep.dir=broken", "hydra.launcher.array_parallelism=10")
    seeds = "hydra.sweeper.where='seed not in (4, 6, 7, 8)'"
    cluster.taunode(*command, seeds, "hydra.launcher.runs_per_task=3", TAUNODE_TEST_BROKEN="1", **QUICK)
    found = cluster.finish("broken")
    broken = {seed for seed, state in found.items() if state == "failed"}
    assert broken == {"1", "2", "3", "5"}  # an exception, exit(3), a segmentation fault, killed every time
    assert Counter(found.values()) == {"done": 26, "failed": 4}
    before = everything(cluster, "broken", set(map(int, broken)))
    count = len(cluster.entries())
    cluster.sweep("resume", "broken", "--only", "failed", **QUICK)
    assert set(cluster.finish("broken").values()) == {"done"}
    assert len(cluster.entries()) == count + 4
    assert everything(cluster, "broken", set(map(int, broken))) == before


def everything(cluster: Cluster, sweep: str, but: set[int]) -> dict[str, tuple[bytes, int]]:
    """Every file of the runs with other seeds."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for run in cluster.runs(sweep)
        if run.read_config()["seed"] not in but
        for path in run.path.iterdir()
        if path.is_file()
    }


def test_a_task_takes_8_runs_and_one_of_24_crashes(cluster):
    """The embedded digits, really trained."""
    digits = ("dataset=digits", "schedule.epochs=1", "schedule.batch_size=256", "arch.depth=8", "arch.norm=none")
    others = [word for word in TINY if not word.startswith(("dataset", "schedule", "arch.norm", "arch.depth"))]
    seeds = "seed=1," + ",".join(str(seed) for seed in range(100, 123))
    share = ("hydra.launcher.runs_per_task=8", "schedule.milestones=[]", "hydra.sweep.dir=digits")
    said = cluster.taunode("-m", *others, *digits, seeds, *share, TAUNODE_TEST_TRAINING="faults")
    assert "(3 tasks)" in said
    states = cluster.finish("digits")
    assert Counter(states.values()) == {"done": 23, "failed": 1}
    assert states["1"] == "failed"
    assert len(cluster.jobs("digits")) == 3
    assert Counter(cluster.jobs("digits").values()) == {"COMPLETED": 2, "FAILED": 1}


def test_two_nodes_train_one_run_as_one_process_does(cluster):
    """Gloo, float64, no batch normalisation: the same loss curve to 1e-9."""
    command = ("-m", *TINY, "precision=fp64", "seed=0", "schedule.epochs=3", "runtime.threads=1")
    cluster.taunode(*command, "hydra.sweep.dir=two", "hydra.launcher.nodes=2")
    cluster.taunode(*command, "hydra.sweep.dir=one")
    assert cluster.finish("two") == cluster.finish("one") == {"0": "done"}
    (two,), (one,) = cluster.runs("two"), cluster.runs("one")
    assert two.read_record().attempts[0]["processes"] == 2
    assert one.read_record().attempts[0]["processes"] == 1
    with open(two.path / "metrics.csv") as first, open(one.path / "metrics.csv") as second:
        rows = list(zip(csv.DictReader(first), csv.DictReader(second), strict=True))
    assert len(rows) == 3
    for ours, theirs in rows:
        for key in theirs:
            assert float(ours[key]) == pytest.approx(float(theirs[key]), abs=1e-9, rel=1e-9), key


def test_a_search_waits_and_gets_the_test_errors(cluster):
    """Hydra's own sweeper reads each job's result."""
    command = ("-m", *TINY, "seed=0,1", "hydra/sweeper=basic", "hydra.launcher.wait=true", "hydra.sweep.dir=search")
    cluster.taunode(*command)
    assert set(cluster.states("search").values()) == {"done"}


def test_waiting_gives_more_memory_to_what_ran_out_of_it(cluster):
    """Up to the cap; one of the two runs has enough then."""
    options = ("hydra.launcher.wait=true", "hydra.launcher.memory_cap=800M", "hydra.sweep.dir=memory")
    said = cluster.taunode("-m", *TINY, "seed=0,6,7", *options, code=1, TAUNODE_TEST_BROKEN="1", **QUICK)
    assert "2 done, 1 out_of_memory" in said
    assert cluster.states("memory") == {"0": "done", "6": "out_of_memory", "7": "done"}
    had = [attempt["host"]["slurm_mem_per_node"] for attempt in cluster.run("memory", 6).read_record().attempts]
    assert had == ["400", "800"]


def test_what_ran_out_of_memory_is_sent_again_though_nobody_waits(cluster):
    """By a task of the same submission, once an attempt, up to the cap."""
    options = ("hydra.launcher.memory_cap=800M", "hydra.sweep.dir=unwatched")
    cluster.taunode("-m", *TINY, "seed=0,6,7", *options, TAUNODE_TEST_BROKEN="1", **QUICK)
    cluster.wait(lambda: cluster.run("unwatched", 6).attempts() == 2)
    assert cluster.finish("unwatched") == {"0": "done", "6": "out_of_memory", "7": "done"}
    had = [attempt["host"]["slurm_mem_per_node"] for attempt in cluster.run("unwatched", 6).read_record().attempts]
    assert had == ["400", "800"]
    assert len(cluster.arrays("unwatched")) in (2, 3)  # the two together, or one after another


def test_the_killed_worker_of_a_task_is_replaced(cluster):
    command = ("-m", *TINY, "seed=0", "hydra.sweep.dir=replaced", "hydra.launcher.workers_per_task=2")
    cluster.taunode(*command, TAUNODE_TEST_SECONDS="8", **QUICK)
    run = cluster.wait(lambda: next((run for run in cluster.runs("replaced") if run.attempts()), None))
    owner = cluster.wait(lambda: run.read_record().attempts)[0]["owner"]
    os.kill(owner["pid"], signal.SIGKILL)
    assert cluster.finish("replaced") == {"0": "done"}
    assert run.attempts() == 2
    assert set(cluster.jobs("replaced").values()) == {"COMPLETED"}


def test_status_logs_why_and_cancel(cluster):
    command = ("-m", *TINY, "seed=12,13,14,15", "hydra.sweep.dir=looked")
    cluster.taunode(*command, "hydra.launcher.array_parallelism=1", TAUNODE_TEST_TRAINING="faults")
    running = cluster.wait(lambda: next((run for run in cluster.runs("looked") if run.checkpoints()), None))
    said = cluster.sweep("status", "looked")
    assert "3 queued, 1 running" in said
    assert "job " in said
    cluster.states("looked")  # this process asks this cluster
    table = multirun_analysis.load(cluster.folder / "looked").runs
    assert Counter(table["state"]) == {"queued": 3, "running": 1}
    assert "attempt 1 on cpu" in cluster.sweep("logs", str(running.path))
    first, second = [str(run.path) for run in cluster.runs("looked")[:2]]
    told = cluster.sweep("why", first, second, code=1)
    assert told == "seed: 12 13\n"
    follower = cluster.start("logs", "-f", str(running.path), program="taunode-sweep")
    assert f"cancelled, jobs: {', '.join(cluster.arrays('looked'))}\n" in cluster.sweep("cancel", "looked")
    cluster.wait(lambda: cluster.ended("looked"))
    assert follower.wait() == 0
    assert Counter(cluster.states("looked").values()) == {"planned": 3, "cancelled": 1}
    assert "nothing of it" in cluster.sweep("cancel", "looked")
    assert "3 planned, 1 cancelled" in cluster.sweep("status", "--watch", "looked", code=1)


def test_planning_and_submitting_1000_runs(cluster, record_property):
    """Held in the queue; as many files as the runs need, and a few."""
    began = time.monotonic()
    held = "hydra.launcher.sbatch={hold: true}"
    command = ("-m", *TINY, "seed=range(0,1000)", held, "hydra.sweep.dir=thousand")
    said = cluster.taunode(*command)
    record_property("seconds", time.monotonic() - began)
    print(f"1,000 runs planned and submitted in {time.monotonic() - began:.1f} s")
    assert "thousand: 1000 runs submitted" in said
    files = [path for path in (cluster.folder / "thousand").rglob("*") if not path.is_dir()]
    record_property("files", len(files))
    print(f"{len(files)} files")
    assert len(files) <= 3010
    assert Counter(cluster.states("thousand").values()) == {"queued": 1000}
    cluster.sweep("cancel", "thousand")
    assert all(one.read_record().attempts == [] for one, _ in pairwise(cluster.runs("thousand")))
