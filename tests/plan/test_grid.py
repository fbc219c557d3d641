"""Zipped lists: what goes together, and what is refused."""

import pytest
from cli import plan

from taunode.errors import BadInput


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def cells(*arguments: str) -> list[tuple[object, ...]]:
    runs = plan(*arguments).runs
    return [(run.config["arch"]["depth"], run.config["tau"]["scale"], run.config["seed"]) for run in runs]


def test_zipped_lists_go_together_and_the_others_are_combined():
    lists = ("arch.depth=8,14,20", "seed=0,1", "tau.scale=1,0.5,0.25")
    assert cells(*lists, "hydra.sweeper.zip=[arch.depth,tau.scale]") == [
        (8, 1, 0),
        (8, 1, 1),
        (14, 0.5, 0),
        (14, 0.5, 1),
        (20, 0.25, 0),
        (20, 0.25, 1),
    ]


def test_values_that_occur_twice_have_each_their_own_partner():
    lists = ("arch.depth=8,8,14", "tau.scale=1,0.5,0.25", "seed=0")
    assert cells(*lists, "hydra.sweeper.zip=[tau.scale,arch.depth]") == [(8, 1, 0), (8, 0.5, 0), (14, 0.25, 0)]


def test_several_groups():
    lists = ("arch.depth=8,14", "tau.scale=1,0.5", "seed=0,1", "schedule.lr=0.1,0.2")
    zipped = "hydra.sweeper.zip=[[arch.depth,tau.scale],[seed,schedule.lr]]"
    assert cells(*lists, zipped) == [(8, 1, 0), (8, 1, 1), (14, 0.5, 0), (14, 0.5, 1)]


def test_zip_and_where_and_an_experiments_own_lists():
    """τ and the norm have their lists from the experiment."""
    runs = plan(
        "experiment=digits_depth_tau",
        "arch.depth=20,56,110",
        "seed=0,1,2",
        "hydra.sweeper.zip=[arch.depth,seed]",
        "hydra.sweeper.where='arch.norm == \\'none\\' and tau.exponent == 0.5'",
    ).runs
    assert [(run.config["arch"]["depth"], run.config["seed"]) for run in runs] == [(20, 0), (56, 1), (110, 2)]


@pytest.mark.parametrize(
    ("zipped", "words"),
    [
        ("[arch.depth,tau.scale]", ["arch.depth has 2, tau.scale has 3"]),
        ("[arch.depth,tau.exponent]", ["tau.exponent has no list", "tau.scale"]),
        ("[arch.depht,tau.scale]", ["arch.depht has no list", "lists: arch.depth"]),
        ("[[arch.depth,seed],[seed,tau.scale]]", ["seed is there twice"]),
        ("arch.depth", ["hydra.sweeper.zip must be a list"]),
        ("[[arch.depth,seed],tau.scale]", ["hydra.sweeper.zip[1] must be a list"]),
    ],
)
def test_what_cannot_be_zipped(zipped, words):
    with pytest.raises(BadInput) as refused:
        plan("arch.depth=8,14", "tau.scale=1,2,3", "seed=0,1", f"hydra.sweeper.zip={zipped}")
    assert not [word for word in words if word not in str(refused.value)], refused.value
