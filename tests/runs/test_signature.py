"""The signature: two ways to say one run are one run; every scientific key makes another."""

from typing import Any

import pytest
from hydra.types import RunMode

from taunode.plan.compose import Composer
from taunode.plan.freeze import Freezer
from taunode.runs.signature import UNSIGNED, differences, flatten, scientific, signature


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    composer = Composer.for_command([], None, RunMode.RUN)
    freezer = Freezer(tmp_path_factory.mktemp("here"))
    return lambda *overrides: freezer.freeze(composer.compose(["dataset=synthetic", *overrides]))[0]


def with_value(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    group, _, rest = key.partition(".")
    return {**config, group: with_value(config.get(group) or {}, rest, value) if rest else value}


def test_it_is_32_hex_digits_and_stays_what_it_is() -> None:
    """A change here would make every sweep on a disk unknown."""
    config = {"seed": 0, "arch": {"depth": 20, "norm": "batch"}, "schedule": {"milestones": [100, 150], "lr": 0.1}}
    assert signature(config) == "09d2ebda34d3cfac05c3bc48891a89b9"


def test_the_order_of_keys_says_nothing(frozen: Any) -> None:
    config = frozen()
    backwards = {key: config[key] for key in reversed(config)}
    backwards["arch"] = dict(reversed(config["arch"].items()))
    assert signature(backwards) == signature(config)


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (0, -0.0), ([1, 2], [1.0, 2.0]), (100000, 1e5)])
def test_equal_numbers_are_one_number(one: Any, other: Any) -> None:
    assert signature({"a": {"b": one}}) == signature({"a": {"b": other}})


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, "1"), (0, None), (0.1, 0.1 + 1e-17 + 1e-16), ([1], 1)])
def test_what_is_not_equal_is_not_one(one: Any, other: Any) -> None:
    assert signature({"a": one}) != signature({"a": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["arch=resnet20"], ["arch=resnet", "arch.depth=20"]),
        (["arch=resnet110_nobn"], ["arch=resnet110", "arch.norm=none"]),
        (["tau=one"], ["tau=power", "tau.exponent=0"]),
        (["tau=inverse_sqrt"], ["tau=power", "tau.exponent=0.5"]),
        (["schedule.lr=0.1"], ["schedule.lr=1e-1"]),
        ([], ["init=he"]),
        ([], ["runtime.threads=2", "runtime.device=cpu", "runtime.checkpoint_seconds=1"]),
    ],
)
def test_an_option_is_the_keys_it_sets(one: list[str], other: list[str], frozen: Any) -> None:
    assert signature(frozen(*one)) == signature(frozen(*other))


def test_every_scientific_key_makes_another_run(frozen: Any) -> None:
    config = frozen()
    found = {signature(config)}
    for key, _ in flatten(config):
        found.add(signature(with_value(config, key, "another")))
    assert len(found) == 1 + len(scientific(config))


@pytest.mark.parametrize("key", sorted(UNSIGNED | {"runtime.threads", "runtime.device"}))
def test_what_is_not_scientific_does_not_enter(key: str, frozen: Any) -> None:
    config = frozen()
    assert signature(with_value(config, key, "one")) == signature(with_value(config, key, "another"))


def test_differences_name_the_keys_with_both_values(frozen: Any) -> None:
    assert differences(frozen(), frozen("schedule.lr=0.2", "seed=3")) == {"schedule.lr": (0.1, 0.2), "seed": (0, 3)}
    assert differences({"a": 1}, {"a": 1.0, "b": 2}) == {"b": (None, 2)}
    assert differences({"runtime": {"threads": 1}}, {}) == {}
