"""Whatever ends a job, its run goes on from the last checkpoint: the same bytes as if nothing had happened."""

import os
import signal
import time

import pytest
from harness import attempts, results

from slurm.cluster import TINY, Cluster
from taunode.runs.directory import RunDirectory

SEEDS = (12, 13, 14, 15)  # each waits in its first attempt, with a checkpoint


@pytest.fixture(scope="module")
def cluster(plain: Cluster) -> Cluster:
    """With the runs of `reference`, which nothing has interrupted."""
    local = [word for word in TINY if "launcher" not in word]
    seeds = ",".join(map(str, SEEDS))
    plain.taunode("-m", *local, f"seed={seeds}", "runtime.threads=1", "hydra.sweep.dir=reference")
    return plain


def begin(cluster: Cluster, seed: int, *options: str) -> str:
    """Send a run, wait until it stands still after its first step; returns its job."""
    sweep = f"interrupted{seed}"
    command = ("-m", *TINY, f"seed={seed}", f"hydra.sweep.dir={sweep}", *options)
    cluster.taunode(*command, TAUNODE_TEST_TRAINING="faults")
    cluster.wait(lambda: cluster.run(sweep, seed).checkpoints())
    return cluster.raw_job(sweep, seed)


def check_same(cluster: Cluster, seed: int, first_state: str) -> None:
    """The run ends with the bytes of the reference; its two attempts are listed."""
    sweep = f"interrupted{seed}"
    assert cluster.finish(sweep) == {str(seed): "done"}
    run = cluster.run(sweep, seed)
    assert results(run) == results(cluster.run("reference", seed))
    listed = run.read_record().attempts
    assert [attempt.get("state") for attempt in listed] == [first_state, "done"]
    assert "goes on after epoch" in run.log(2).read_text()


def test_a_network_of_ones_own_is_requeued_and_goes_on(cluster):
    """The task gets the folder with its command line, on whatever node; nobody else knows it."""
    own = cluster.folder / "own"
    (own / "arch").mkdir(parents=True)
    (own / "mine.py").write_text("from taunode.models.resnet import CifarResNet\n\nclass Mine(CifarResNet): ...\n")
    (own / "arch" / "mine.yaml").write_text("defaults: [resnet, _self_]\n_target_: mine.Mine\n")
    words = ("--config-dir", "own", "-m", *(word for word in TINY if word != "arch=resnet"), "arch=mine", "seed=16")
    local = (word for word in words if "launcher" not in word)
    cluster.taunode(*local, "runtime.threads=1", "hydra.sweep.dir=reference")
    cluster.taunode(*words, "hydra.sweep.dir=interrupted16", TAUNODE_TEST_TRAINING="faults")
    cluster.wait(lambda: cluster.run("interrupted16", 16).checkpoints())
    cluster.rig.run("scontrol", "requeue", cluster.raw_job("interrupted16", 16))
    check_same(cluster, 16, "planned")
    assert "mine.Mine" in cluster.run("interrupted16", 16).config.read_text()


def test_requeued(cluster):
    job = begin(cluster, 12)
    cluster.rig.run("scontrol", "requeue", job)
    check_same(cluster, 12, "planned")
    assert attempts(cluster.run("interrupted12", 12))[0]["end"] == "requeued by Slurm"


def test_preempted(cluster):
    """A job of the partition `urgent` wants the run's whole node."""
    begin(cluster, 13, "hydra.launcher.sbatch={nodelist: n1, exclusive: true}")
    urgent = ("--partition=urgent", "--nodelist=n1", "--exclusive", "--output=/dev/null")
    cluster.rig.run("sbatch", *urgent, "--wrap=sleep 2")
    check_same(cluster, 13, "preempted")


def test_the_node_crashes(cluster):
    """Nobody can say anything; Slurm notices a silent node, and starts the job again."""
    job = begin(cluster, 14, "hydra.launcher.sbatch={nodelist: n2}")
    assert cluster.rig.tasks(job)
    cluster.rig.crash(2)
    time.sleep(1)
    cluster.rig.start_node(2)
    sweep = "interrupted14"
    assert cluster.finish(sweep) == {"14": "done"}
    assert results(cluster.run(sweep, 14)) == results(cluster.run("reference", 14))
    assert cluster.run(sweep, 14).attempts() == 2


def test_a_cut_off_node_comes_back(cluster):
    """Its processes sleep for longer than the lease, and wake when another node has finished their run."""
    job = begin(cluster, 15, "hydra.launcher.sbatch={nodelist: n3}")
    sleepers = cluster.rig.tasks(job)
    assert len(sleepers) >= 3  # the task, its worker, the run
    for pid in sleepers:
        os.kill(pid, signal.SIGSTOP)
    cluster.rig.cut_off(3)
    sweep = "interrupted15"
    cluster.rig.run("scontrol", "update", "nodename=n3", "state=down", "reason=cut-off")
    cluster.rig.run("scontrol", "update", f"jobid={job}", "reqnodelist=")
    run = cluster.run(sweep, 15)
    cluster.wait(lambda: run.read_record().state == "done" and not run.checkpoints())  # the last thing a worker does
    before = written(run)
    assert run.attempts() == 2
    for pid in sleepers:
        os.kill(pid, signal.SIGCONT)
    cluster.wait(lambda: not any(is_alive(pid) for pid in sleepers))
    assert written(run) == before
    assert results(run) == results(cluster.run("reference", 15))
    cluster.rig.start_node(3)
    cluster.rig.run("scontrol", "update", "nodename=n3", "state=resume")
    cluster.wait(lambda: cluster.ended(sweep))


def written(run: RunDirectory) -> dict[str, bytes]:
    """Every file but the first attempt's log, which may say that the attempt has lost its claim."""
    files = (path for path in run.path.iterdir() if path.is_file() and path != run.log(1))
    return {path.name: path.read_bytes() for path in files}


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
