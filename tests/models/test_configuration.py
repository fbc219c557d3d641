"""conf/arch and conf/tau: every name is the configuration it says, and says so in its first line."""

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

CONF = Path(__file__).parents[2] / "conf"
FILES = sorted([*CONF.glob("arch/resnet*.yaml"), *CONF.glob("tau/*.yaml")])
TAU = {"scale": 1.0, "blocks": "total", "learn": "auto", "lr_factor": 0.1}


def composed(*overrides: str) -> dict[str, object]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_container(compose(overrides=list(overrides)))


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110, 1202])
def test_a_named_depth_is_that_depth(depth):
    arch = {"_target_": "taunode.models.resnet.CifarResNet", "depth": depth, "checkpoint_segments": "auto"}
    assert composed(f"+arch=resnet{depth}") == {"arch": arch | {"norm": "batch"}}
    assert composed(f"+arch=resnet{depth}_nobn") == {"arch": arch | {"norm": "none"}}
    assert composed(f"+arch=resnet{depth}_nobn") == composed(f"+arch=resnet{depth}", "arch.norm=none")
    assert composed(f"+arch=resnet{depth}") == composed("+arch=resnet", f"arch.depth={depth}")


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_an_imagenet_depth_is_that_depth(depth):
    arch = {"_target_": "taunode.models.imagenet.ImageNetResNet", "depth": depth, "checkpoint_segments": "auto"}
    assert composed(f"+arch=resnet{depth}") == {"arch": arch | {"norm": "batch"}}
    assert composed(f"+arch=resnet{depth}_nobn") == {"arch": arch | {"norm": "none"}}


@pytest.mark.parametrize(("name", "target"), [("rkhs_resnet18", "RkhsResNet"), ("shl_resnet18", "ShlResNet")])
def test_a_flow_resnet_comes_without_tau_unless_asked(name, target):
    arch = {"_target_": f"taunode.models.flow_resnet.{target}", "layers": 1, "zero_init": True}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=[f"arch={name}", "tau=inverse_sqrt"])
        assert config.tau.exponent == 0.5  # the command line wins, and the network refuses it
        config = compose("config", overrides=[f"arch={name}"])
    assert config.arch == arch
    assert config.tau is None


def test_the_papers_tau_for_imagenet():
    expected = {"_target_": "taunode.models.tau.PowerLaw"} | TAU | {"scale": 2.0, "exponent": 0.5}
    assert composed("+tau=inverse_sqrt_largest_stage") == {"tau": expected | {"blocks": "largest_stage"}}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("imagenet", (200, 256, 0.1, [60, 120], 0.1, 0.9, 1e-4)),
        ("cifar", (200, 128, 0.1, [100, 150], 0.1, 0.9, 1e-4)),
        ("cifar_flow", (300, 256, 3e-3, [260], 0.1, 0.0, 0.0)),
    ],
)
def test_a_named_schedule_is_the_papers(name, values):
    keys = ("epochs", "batch_size", "lr", "milestones", "factor", "warmup_epochs")
    *expected, momentum, weight_decay = values
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=[f"schedule={name}"])
    target = {"_target_": "taunode.training.schedule.Steps"}
    assert config.schedule == target | dict(zip(keys, [*expected, 0], strict=True))
    assert config.optimizer == {
        "_target_": "taunode.training.optimizer.Sgd",
        "momentum": momentum,
        "nesterov": False,
        "weight_decay": weight_decay,
        "decay": "all",
        "clip_norm": None,
    }


@pytest.mark.parametrize(
    ("name", "exponent"),
    [("one", 0), ("constant", 0), ("inverse_sqrt", 0.5), ("inverse_quarter", 0.25), ("inverse", 1), ("power", 0.5)],
)
def test_a_named_tau_is_its_exponent(name, exponent):
    target = {"_target_": "taunode.models.tau.PowerLaw"}
    assert composed(f"+tau={name}") == {"tau": target | TAU | {"exponent": exponent}}
    assert composed(f"+tau={name}") == composed("+tau=power", f"tau.exponent={float(exponent)}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_starts_with_its_line_of_help(path):
    first, rest = path.read_text(encoding="utf-8").split("\n", 1)
    assert first.startswith("# ")
    assert len(first) <= 110
    assert isinstance(yaml.safe_load(rest), dict)
