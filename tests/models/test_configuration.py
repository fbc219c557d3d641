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
    arch = {"_target_": "taunode.models.resnet.CifarResNet", "depth": depth}
    assert composed(f"+arch=resnet{depth}") == {"arch": arch | {"norm": "batch"}}
    assert composed(f"+arch=resnet{depth}_nobn") == {"arch": arch | {"norm": "none"}}
    assert composed(f"+arch=resnet{depth}_nobn") == composed(f"+arch=resnet{depth}", "arch.norm=none")
    assert composed(f"+arch=resnet{depth}") == composed("+arch=resnet", f"arch.depth={depth}")


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
