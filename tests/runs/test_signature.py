"""The signature: two ways to say one run are one run; every scientific key makes another."""

from typing import Any

import pytest
from hydra.types import RunMode

from taunode.plan.compose import Composer
from taunode.plan.freeze import Freezer
from taunode.runs import history
from taunode.runs import signature as identity
from taunode.runs.signature import UNSIGNED, at_absence, departures, differences, flatten, scientific, signature


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


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class `taunode.a.B` whose keys `width`, `clip` and `flag` came later."""
    marked = {"taunode.a.B": {"width": 1.0, "clip": None, "flag": False}}
    for module in (identity, history):
        monkeypatch.setattr(module, "absent_values", lambda target: marked.get(target, {}))


@pytest.mark.usefixtures("later")
def test_a_later_key_is_left_out_where_its_absence_means_the_same() -> None:
    old = {"arch": {"_target_": "taunode.a.B", "depth": 20}}
    new = {"arch": {**old["arch"], "width": 1, "clip": None, "flag": False}}
    assert signature(old) == signature(new)
    assert scientific(new) == scientific(old)
    assert at_absence(dict(flatten(new))) == {"arch.width", "arch.clip", "arch.flag"}
    assert history.upgraded(old) == new
    assert differences(old, new) == {}
    for key, value in (("width", 2.0), ("clip", 1.0), ("flag", True), ("flag", 0), ("clip", False)):
        other = {"arch": {**new["arch"], key: value}}
        assert signature(other) != signature(old)
        assert list(differences(old, other)) == [f"arch.{key}"]
    assert differences(old, {"arch": {**new["arch"], "width": 2.0}}) == {"arch.width": (1, 2)}


@pytest.mark.usefixtures("later")
def test_of_another_class_the_same_key_is_one_of_the_first() -> None:
    one, other = ({"arch": {"_target_": "taunode.a.C", **more}} for more in ({}, {"width": 1.0}))
    assert signature(one) != signature(other)
    assert history.upgraded(one) == one


@pytest.mark.usefixtures("later")
def test_a_later_key_of_a_node_inside_a_group_counts_as_well() -> None:
    one = {"arch": {"block": {"_target_": "taunode.a.B"}}}
    other = history.upgraded(one)
    assert other["arch"]["block"]["flag"] is False
    assert signature(one) == signature(other)


def test_a_later_group_is_left_out_where_it_is_null(frozen: Any) -> None:
    config = frozen()
    assert signature({**config, "later": None}) == signature(config)
    assert signature({**config, "later": {"a": 1}}) != signature(config)
    assert signature({key: value for key, value in config.items() if key != "solver"}) != signature(config)


def test_keys_that_moved_are_signed_by_their_old_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(history.MOVED, "a.old", "b.new")
    monkeypatch.setitem(history.GROUPS, "b", "taunode.x.First")
    monkeypatch.setitem(history.RENAMED, "taunode.x.Old", "taunode.x.New")
    monkeypatch.setitem(identity._signed_keys, "b.new", "a.old")
    monkeypatch.setitem(identity._signed_targets, "taunode.x.New", "taunode.x.Old")
    old = {"a": {"_target_": "taunode.x.Old", "old": 3, "kept": 1}}
    new = {"a": {"_target_": "taunode.x.New", "kept": 1}, "b": {"_target_": "taunode.x.First", "new": 3}}
    assert history.upgraded(old) == new
    assert history.upgraded(new) == new
    assert old == {"a": {"_target_": "taunode.x.Old", "old": 3, "kept": 1}}
    assert signature(new) == signature(old)
    assert signature({**new, "b": {"_target_": "taunode.x.Second", "new": 3}}) != signature(old)


@pytest.mark.parametrize(
    "config", [{}, {"a": None}, {"a": {"_target_": 3}}, {"a": [{"_target_": "x"}]}, {"a": {"b": 1}}]
)
def test_what_is_no_configuration_of_ours_is_left_as_it_is(config: dict[str, Any]) -> None:
    assert history.upgraded(config) == config


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    ("changes", "departing"),
    [
        ({}, {}),
        ({"seed": 5}, {}),
        ({"arch.depth": 20.0}, {}),
        ({"arch.milestones": (1, 2)}, {}),  # as a table holds a list
        ({"tau.scale": float("nan"), "tau": None}, {}),  # as a table holds another network's keys
        ({"arch.width": 1.0, "arch.flag": False}, {}),
        ({"runtime.threads": 3, "arch.checkpoint_segments": 5}, {}),
        ({"arch.width": 2.0}, {"arch.width": (2, 1)}),
        ({"arch.flag": True}, {"arch.flag": (True, False)}),
        ({"arch.unheard_of": 0}, {"arch.unheard_of": (0, None)}),
        ({"optimizer._target_": "x"}, {"optimizer._target_": ("x", None)}),
        ({"arch.depth": 56}, {"arch.depth": (56, 20)}),
        ({"arch.depth": None}, {"arch.depth": (None, 20)}),
    ],
)
def test_a_run_departs_from_a_protocol_in_every_key_that_does_not_have_its_value(
    changes: dict[str, Any], departing: dict[str, Any]
) -> None:
    protocol = {"arch._target_": "taunode.a.B", "arch.depth": 20, "arch.milestones": [1, 2]}
    assert departures({**protocol, "seed": 0, **changes}, protocol, free=["seed"]) == departing


@pytest.mark.usefixtures("later")
def test_a_protocol_that_names_a_later_key_holds_for_runs_before_it() -> None:
    run = {"arch._target_": "taunode.a.B", "arch.depth": 20}
    assert departures(run, {**run, "arch.width": 1.0}) == {}
    assert departures(run, {**run, "arch.width": 2.0}) == {"arch.width": (1, 2)}
    del run["arch.depth"]
    assert departures(run, {**run, "arch.depth": 20}) == {"arch.depth": (None, 20)}
