"""Our fast composition against Hydra's own: the same configuration, or the same error, whatever is overridden."""

import json
import random
from collections.abc import Callable

import pytest
from harness import scaled
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from taunode.command.plugins import register
from taunode.errors import BadInput
from taunode.plan.compose import Composer, keys

GROUPS = (
    "arch=resnet",
    "arch=resnet56",
    "arch=resnet110_nobn",
    "arch=resnet111",
    "tau=power",
    "tau=inverse_sqrt",
    "tau=constant",
    "tau=nothing",
    "dataset=mnist",
    "dataset=synthetic",
    "dataset=cifar100",
    "dataset=image_folder",
    "schedule=cifar",
    "runtime=default",
    "experiment=digits_depth_tau",
    "experiment=null",
    "+tau@second=inverse",
    "tau@dataset=inverse",
    "~tau",
    "~experiment",
    "~dataset=mnist",
    "+arch=resnet20",
    "hydra/launcher=basic",
)
VALUES = (
    "arch.depth=38",
    "arch.norm=none",
    "arch.width=3",
    "+arch.width=3",
    "++arch.width=3",
    "arch={depth: 8}",
    "+arch={width: 3}",
    "tau.scale=1e-3",
    "tau.scale=1",
    "tau.scale=.inf",
    "tau.exponent=${seed}",
    "tau.learn=null",
    "~tau.scale",
    "~tau.scale=2.0",
    "~tau.nothing",
    "dataset.mean=[0.1,0.2]",
    "dataset.flip=true",
    "dataset.name='two words'",
    "schedule.milestones=[]",
    "schedule.milestones=[1,2]",
    "schedule={epochs: 3, lr: 1}",
    "~schedule.milestones",
    "schedule.epochs=ten",
    "schedule.lr=${tau.scale}",
    "runtime.data_root=${dataset.name}",
    "runtime.device=cpu",
    "seed=7",
    "seed=-1",
    "seed=null",
    "seed=???",
    "+seed=3",
    "++seed=3",
    "~seed",
    "precision=bf16",
    "precision=012",
    "nothing=1",
    "+nothing=1",
    "++nothing.at.all=[1,{a: 2}]",
    "~nothing",
    "embedding={a: 1}",
    "hydra.job.name=other",
    "hydra.sweep.dir=elsewhere",
    "hydra.nothing=1",
)


@pytest.fixture(scope="module")
def composer() -> Composer:
    register()
    return Composer.for_command([], None, RunMode.MULTIRUN)


def hydras_own(composer: Composer, overrides: list[str]) -> DictConfig:
    config = composer.loader.load_sweep_config(composer.master, overrides)
    with open_dict(config):
        config.pop("hydra")
    return config


def outcome(compose: Callable[[list[str]], DictConfig], overrides: list[str]) -> str:
    """The configuration as JSON, keys in their order; or what was wrong."""
    try:
        return json.dumps(OmegaConf.to_container(compose(overrides), resolve=True))
    except ValueError as error:  # Hydra's for a group that is set to null; ours is of its other kind
        return f"ConfigCompositionException: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def random_overrides(seed: int) -> list[str]:
    draw = random.Random(seed)
    groups = {text.partition("=")[0]: text for text in draw.sample(GROUPS, draw.randint(0, 4))}
    chosen = [*groups.values(), *draw.sample(VALUES, draw.randint(0, 4))]
    draw.shuffle(chosen)
    return chosen


def test_composition_is_hydras_own_for_random_override_lists(composer):
    equal, refused = 0, 0
    for seed in range(scaled(200)):
        overrides = random_overrides(seed)
        expected = outcome(lambda given: hydras_own(composer, given), overrides)
        found = outcome(composer.compose, overrides)
        if not expected.startswith("{"):  # of several mistakes in one command either may be the first
            found, expected = found.partition(":")[0], expected.partition(":")[0]
        assert found == expected, overrides
        equal += expected.startswith("{")
        refused += not expected.startswith("{")
    assert equal >= scaled(40)  # the comparison is not one of errors only
    assert refused >= scaled(40)


@pytest.mark.parametrize("override", [*GROUPS, *VALUES])
def test_each_override_alone(composer, override):
    expected = outcome(lambda given: hydras_own(composer, given), [override])
    assert outcome(composer.compose, [override]) == expected


def test_a_configuration_is_nobody_elses(composer):
    first = composer.compose(["seed=1"])
    first.schedule.milestones.append(7)
    assert 7 not in composer.compose(["seed=1"]).schedule.milestones


@pytest.mark.parametrize("sweep", ["seed=0,1", "tau=one,inverse", "seed=range(0,3)", "tau=glob(*)", "seed=choice(0,1)"])
def test_a_list_is_no_configuration(composer, sweep):
    with pytest.raises(BadInput, match="several values"):
        composer.compose([sweep])


def test_keys_are_what_a_command_line_can_change(composer):
    found = keys(composer.compose([]))
    assert {"arch", "arch.depth", "tau.scale", "schedule.milestones", "runtime.data_root", "seed"} <= set(found)
    assert not [key for key in found if "_target_" in key]
