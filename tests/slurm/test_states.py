"""How runs end on a cluster, with accounting and without: the state, Slurm's own, and who tries again."""

import json

import pytest

from slurm.cluster import TINY, Cluster


@pytest.fixture(scope="module", params=["accounted", "plain"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    found: Cluster = request.getfixturevalue(request.param)
    return found


# seed → the run's state, and Slurm's of its task
EXPECTED = {
    "0": ("done", "COMPLETED"),
    "1": ("failed", "FAILED"),  # exception
    "2": ("failed", "FAILED"),  # exit(3)
    "3": ("failed", "FAILED"),  # segmentation fault
    "4": ("done", "COMPLETED"),  # killed once
    "5": ("failed", "FAILED"),  # killed every time
    "6": ("out_of_memory", "FAILED"),  # MemoryError
    "7": ("out_of_memory", "FAILED"),  # the task was killed; slurmstepd says why
    "8": ("timeout", "FAILED"),  # the limit is shorter than a step: killed after its grace, before Slurm ends the task
    "9": ("done", "COMPLETED"),  # three limits in a row
    "10": ("done", "COMPLETED"),
    "11": ("cancelled", "CANCELLED"),  # scancel
}
# A limit of one minute; Slurm looks every half minute whether it is time for the signal or the end.
SHORT = "hydra.launcher.resources=[{when: 'seed in (8, 9)', time: 1},{when: 'seed == 11', time: 9}]"
NAN = ("schedule.epochs=5", "schedule.milestones=[2]", "schedule.factor=1e30", "seed=20")


def test_each_way_to_end_has_its_state_and_the_neighbours_are_done(cluster):
    seeds = ",".join(EXPECTED)
    options = (SHORT, "hydra.launcher.signal_seconds=20", "hydra.launcher.memory_cap=400M", "hydra.sweep.dir=ends")
    cluster.taunode("-m", *TINY, f"seed={seeds}", *options, TAUNODE_TEST_TRAINING="faults")
    cluster.taunode("-m", *TINY, *NAN, "hydra.sweep.dir=ends")
    cluster.wait(lambda: cluster.run("ends", 11).checkpoints())
    cluster.rig.run("scancel", cluster.raw_job("ends", 11))

    states = cluster.finish("ends")
    assert states == {"20": "diverged", **{seed: state for seed, (state, _) in EXPECTED.items()}}
    attempts = {seed: cluster.run("ends", seed).attempts() for seed in (1, 4, 5, 9, 11)}
    assert attempts == {1: 1, 4: 2, 5: 3, 9: 4, 11: 1}
    ends = [attempt["state"] for attempt in cluster.run("ends", 9).read_record().attempts]
    assert ends == ["timeout", "timeout", "timeout", "done"]

    expected = sorted([*(slurm for _, slurm in EXPECTED.values()), "COMPLETED"])
    assert sorted(cluster.jobs("ends").values()) == expected
    if cluster.rig.accounting:
        cluster.wait(lambda: sorted(cluster.accounted("ends").elements()) == expected)
    assert "cannot be read" not in cluster.sweep("status", "ends", code=1)


def test_out_of_memory_gets_more_on_resume_up_to_the_cap(cluster):
    before = set((cluster.folder / "ends" / "slurm").glob("*.json"))
    capped = "hydra.launcher.memory_cap=800M"
    cluster.sweep("resume", "ends", "--only", "out_of_memory", capped, TAUNODE_TEST_TRAINING="faults")
    (sent,) = set((cluster.folder / "ends" / "slurm").glob("*.json")) - before
    submission = json.loads(sent.read_text())
    assert submission["resources"]["memory"] == "800M"
    assert len(submission["runs"]) == 2
    states = cluster.finish("ends")
    assert (states["6"], states["7"]) == ("out_of_memory", "done")
    had = [attempt["host"]["slurm_mem_per_node"] for attempt in cluster.run("ends", 6).read_record().attempts]
    assert had == ["400", "800"]
    said = cluster.sweep("resume", "ends", "--only", "out_of_memory", capped, code=1)
    assert "0 runs submitted" in said
    assert "1 ran out of memory at memory_cap" in said
