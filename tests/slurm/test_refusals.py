"""What is refused at a cluster: one line, exit code 2, nothing written."""

import pytest

from slurm.cluster import TINY, Cluster


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["hydra.launcher.partition=nope"], ["sbatch: invalid partition specified: nope"]),
        (["hydra.launcher.memory=900G"], ["sbatch: "]),
        (["hydra.launcher.sbatch={frobnicate: 1}"], ["sbatch: ", "frobnicate"]),
        (["hydra.sweep.dir=/proc/nowhere"], ["cannot write to /proc/nowhere"]),
        (["hydra.sweep.dir=100%"], ["100%", "Slurm reads %"]),
        (["hydra.sweeper.where=sead > 1"], ["unknown key 'sead'", "nearest: seed"]),
        (["hydra.sweeper.where=seed >"], ["'seed >' is not an expression"]),
        (["hydra.sweeper.where=__import__('os')"], ["is not allowed"]),
        (["hydra.launcher.resources=[{when: 'sead > 1', time: 5}]"], ["resources[0].when: unknown key 'sead'"]),
        (["hydra.launcher.nodes=2", "arch.norm=batch"], ["batch normalisation"]),
    ],
)
def test_nothing_is_written(typed, words, plain: Cluster):
    before = sorted(plain.folder.rglob("*"))
    said = plain.taunode("-m", *TINY, "seed=0,1", *typed, code=2)
    assert not [word for word in words if word not in said], said
    assert said.count("\n") == 1
    assert sorted(plain.folder.rglob("*")) == before


def test_a_path_with_a_space_and_a_quote_is_none(plain: Cluster):
    said = plain.taunode("-m", *TINY, "seed=0", "hydra.sweep.dir=it's mine", TAUNODE_TEST_TRAINING="quick")
    assert """status --watch 'it'"'"'s mine'""" in said
    assert plain.finish("it's mine") == {"0": "done"}
