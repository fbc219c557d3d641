"""What a configuration may name and what it may say: exact names, exact types, one line for every mistake."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Optional

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from taunode import build
from taunode.errors import BadInput

CONF = Path(__file__).parents[1] / "conf"
FITS: list[tuple[Any, Any, Any]] = [
    (3, int, 3),
    (True, bool, True),
    ("x", str, "x"),
    (0.5, float, 0.5),
    (1, float, 1.0),
    (math.inf, float, math.inf),  # the constructor decides
    (None, int | None, None),
    (3, int | None, 3),
    (None, Optional[float], None),  # noqa: UP045 -- both spellings of the annotation
    (1, Optional[float], 1.0),  # noqa: UP045
    ([1, 2], list[int], [1, 2]),
    ([1, 2.5], list[float], [1.0, 2.5]),
    ([], list[int], []),
    ([[1], [2]], list[list[int]], [[1], [2]]),
    ({"a": 1}, dict[str, float], {"a": 1.0}),
    ({"a": [1, "x"]}, dict[str, Any], {"a": [1, "x"]}),
    (None, dict[str, Any] | None, None),
    ("batch", Literal["batch", "none"], "batch"),
    (2, Literal[1, 2] | None, 2),
    (None, Literal["a"] | None, None),
    ({"any": "thing"}, Any, {"any": "thing"}),
]
MISFITS: list[tuple[Any, Any, str]] = [
    ("ten", int, "must be a whole number, got 'ten'"),
    (1.0, int, "must be a whole number, got 1.0"),
    (True, int, "must be a whole number, got True"),
    (None, int, "must be a whole number, got None"),
    (True, float, "must be a number, got True"),
    ("1e-3", float, "must be a number, got '1e-3'"),
    (math.nan, float, "must be a number, got nan"),
    (1, bool, "must be true or false, got 1"),
    (0, str, "must be text, got 0"),
    (5, list[int], "must be a list, got 5"),
    ("ab", list[str], "must be a list, got 'ab'"),
    ([1, "x"], list[int], r"\[1\] must be a whole number, got 'x'"),
    ([[1], ["x"]], list[list[int]], r"\[1\]\[0\] must be a whole number"),
    ({"a": "x"}, dict[str, int], r"\.a must be a whole number, got 'x'"),
    ("bach", Literal["batch", "none"], "must be one of batch, none, got 'bach'"),
    (True, Literal[1, 2], "must be one of 1, 2, got True"),
    ("x", int | None, "must be a whole number or null, got 'x'"),
    ("c", Literal["a", "b"] | None, "must be one of a, b or null, got 'c'"),
]


@pytest.mark.parametrize(("value", "hint", "expected"), FITS, ids=str)
def test_what_fits_is_taken(value, hint, expected):
    found = build.convert(value, hint, "group.key")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("value", "hint", "message"), MISFITS, ids=str)
def test_what_does_not_fit_is_named_with_its_key(value, hint, message):
    with pytest.raises(BadInput, match=rf"^group\.key.*{message}"):
        build.convert(value, hint, "group.key")


@given(st.one_of(st.integers(), st.text(), st.booleans(), st.none(), st.floats(allow_nan=False)))
def test_a_value_is_its_own_type_and_no_other(value):
    accepted = []
    for hint in (int, str, bool, float, type(None)):
        try:
            accepted.append((hint, build.convert(value, hint, "k")))
        except BadInput:
            continue
    assert accepted
    assert {kind for kind, _ in accepted} == ({int, float} if type(value) is int else {type(value)})
    assert all(type(found) is kind for kind, found in accepted)


class Thing:
    """What the tests build."""

    def __init__(self, size: int, kind: Literal["round", "square"] = "round", *, made_by: str = "") -> None:
        self.size, self.kind, self.made_by = size, kind, made_by


@pytest.fixture
def thing(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name under which `Thing` may be built."""
    name = f"{Thing.__module__}.Thing"
    monkeypatch.setattr(build, "allowed_targets", lambda *group: frozenset({name}))
    return name


class Larger(Thing):
    """Hands on what it does not know."""

    def __init__(self, factor: float, **others: Any) -> None:
        super().__init__(**others)
        self.factor = factor


def test_a_class_takes_what_it_hands_on(monkeypatch):
    name = f"{Larger.__module__}.Larger"
    monkeypatch.setattr(build, "allowed_targets", lambda *group: frozenset({name}))
    made = build.instantiate({"_target_": name, "size": 3, "factor": 2, "kind": "square"}, "thing", made_by="me")
    assert (made.size, made.kind, made.made_by, made.factor) == (3, "square", "me", 2.0)
    for key, value in (("others", {}), ("colour", "red"), ("kind", "oval")):
        with pytest.raises(BadInput, match=rf"thing\.{key}"):
            build.instantiate({"_target_": name, "size": 3, "factor": 2, key: value}, "thing", made_by="me")
    with pytest.raises(BadInput, match=r"thing\.size is missing"):
        build.instantiate({"_target_": name, "factor": 2}, "thing", made_by="me")


def test_instantiate_builds_with_the_other_keys_and_what_is_given(thing):
    made = build.instantiate({"_target_": thing, "size": 3, "kind": "square"}, "thing", made_by="me")
    assert (made.size, made.kind, made.made_by) == (3, "square", "me")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"size": 3}, "thing: has no _target_"),
        ({}, r"thing\.size is missing"),
        ({"size": 3, "knd": "round"}, r"unknown key thing\.knd; valid: kind, size$"),
        ({"size": 3, "made_by": "somebody"}, r"unknown key thing\.made_by"),  # given by the caller alone
        ({"size": 3, "kind": "oval"}, r"thing\.kind must be one of round, square, got 'oval'"),
    ],
)
def test_instantiate_refuses(thing, node, message):
    full = node if message.startswith("thing: ") else {"_target_": thing, **node}
    with pytest.raises(BadInput, match=message):
        build.instantiate(full, "thing", made_by="me")


def test_the_allowed_names_are_those_of_the_shipped_options():
    named = {
        option["_target_"]
        for path in CONF.rglob("*.yaml")
        if isinstance(option := yaml.safe_load(path.read_text(encoding="utf-8")), dict)
        and str(option.get("_target_", "")).startswith("taunode.")
    }
    assert build.allowed_targets() == named
    assert {"taunode.models.resnet.CifarResNet", "taunode.models.tau.PowerLaw"} <= named


@pytest.mark.parametrize("name", sorted(build.allowed_targets()))
def test_every_allowed_name_is_a_class_of_ours(name):
    import importlib

    module, _, kind = name.rpartition(".")
    made: Callable[..., object] = getattr(importlib.import_module(module), kind)
    assert made.__module__ == module  # defined there, not imported from elsewhere


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "subprocess.run",
        "torch.load",
        "builtins.eval",
        "taunode.train.main",
        "taunode.models.resnet.CifarResNet.__init__",
        "taunode.models.resnet.nn.Module",
        "taunode.models.resnet",
        "",
        None,
        3,
        ["taunode.models.resnet.CifarResNet"],
    ],
)
@pytest.mark.parametrize(
    ("config", "key"),
    [
        (lambda bad: {"_target_": bad}, "_target_"),
        (lambda bad: {"arch": {"_target_": bad, "depth": 20}}, "arch._target_"),
        (lambda bad: {"a": {"b": [1, {"c": [{"_target_": bad}]}]}}, "a.b[1].c[0]._target_"),
        (lambda bad: {"a": [[{"_target_": bad}]]}, "a[0][0]._target_"),
    ],
    ids=["top", "group", "nested", "lists"],
)
def test_no_other_name_is_allowed_at_any_depth(config, key, name):
    with pytest.raises(BadInput) as refused:
        build.check_targets(config(name))
    assert str(refused.value).startswith(f"{key}: {name!r} is not allowed; allowed: ")


def test_the_shipped_configuration_is_allowed():
    import taunode

    build.check_targets(build.complete(dict(taunode.compose())))


def test_an_option_that_names_nothing_is_null():
    config = build.complete({"arch": {"_target_": None}, "tau": None, "parametrization": {"_target_": None}})
    assert config == {"arch": {"_target_": None}, "tau": None, "parametrization": None}


@pytest.mark.parametrize(
    ("rule", "norm", "learn"),
    [
        ("PowerLaw", "none", "shared"),
        ("PowerLaw", "batch", "none"),
        ("PowerLaw", None, "none"),
        ("Decreasing", "none", "block"),
        ("Listed", "batch", "none"),
    ],
)
def test_auto_is_resolved_by_the_rule(rule, norm, learn):
    target = f"taunode.models.tau.{rule}"
    arch = {} if norm is None else {"norm": norm}
    config = build.complete({"arch": arch, "tau": {"_target_": target, "learn": "auto"}})
    assert config["tau"] == {"_target_": target, "learn": learn}
    said = build.complete({"arch": arch, "tau": {"_target_": target, "learn": "block"}})
    assert said["tau"]["learn"] == "block"
