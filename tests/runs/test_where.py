"""`where`: it means what Python means by the same text, and nothing but conditions gets in."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taunode.errors import BadInput
from taunode.runs.where import Where

KEYS = {
    "arch.depth": 56,
    "arch.norm": "batch",
    "tau.exponent": 0.5,
    "tau.learn": None,
    "schedule.milestones": [100, 150],
    "dataset.augment.flip": True,
    "seed": 3,
}


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("arch.depth == 56", True),
        ("arch.depth > 20 and tau.exponent < 1", True),
        ("20 < arch.depth <= 56", True),
        ("not arch.depth == 56", False),
        ("arch.depth == 20 or seed == 3", True),
        ('arch.norm != "none"', True),
        ("arch.norm in ('batch', 'none')", True),
        ("seed not in [0, 1]", True),
        ("seed in {3}", True),
        ("schedule.milestones == [100, 150]", True),
        ("150 in schedule.milestones", True),
        ("(arch.depth - 2) // 2 == 27", True),
        ("seed * 2 + 1 == 7", True),
        ("arch.depth % 6 == 2", True),
        ("seed / 2 == 1.5", True),
        ("-seed < 0", True),
        ("- -seed == 3", True),
        ("dataset.augment.flip", True),
        ("dataset.augment.flip == true", True),
        ("dataset.augment.flip is not False", True),
        ("tau.learn == null", True),
        ("tau.learn is None", True),
        ("tau.learn != 'shared'", True),
        ("  seed == 3 ", True),
        ("true", True),
        ("false", False),
        ("1 == 1.0", True),
    ],
)
def test_conditions(text, truth):
    assert Where(text)(KEYS) is truth


@pytest.mark.parametrize("comparison", ["<", "<=", ">", ">="])
def test_null_is_neither_more_nor_less_than_anything(comparison):
    assert not Where(f"tau.learn {comparison} 1")(KEYS)
    assert not Where(f"1 {comparison} tau.learn")(KEYS)


@pytest.mark.parametrize("text", ["tau.learn * 2", "-tau.learn", "tau.learn + seed", "1 / tau.learn"])
def test_what_is_computed_from_null_is_null(text):
    assert Where(f"({text}) == null")(KEYS)
    assert not Where(f"({text}) > 0")(KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "seed =",
        "seed = 3",
        "seed == ",
        "seed == 3; seed",
        "import os",
        "__import__('os').system('true')",
        "print(seed)",
        "arch.depth.__class__()",
        "().__class__",
        "'a'.upper",
        "[s for s in (1, 2)]",
        "lambda: 1",
        "seed if seed else 1",
        "schedule.milestones[0] == 100",
        "f'{seed}' == '3'",
        "(seed := 4)",
        "2 ** 9 ** 9 ** 9",
        "1 << 9999999999",
        "{'a': 1}",
        "await seed",
        "*seed",
    ],
)
def test_everything_else_is_refused_before_any_run_is_looked_at(text):
    with pytest.raises(BadInput, match=r"^where: "):
        Where(text)


@pytest.mark.parametrize(
    "text",
    [
        "seed < 'a'",
        "seed in 5",
        "'a' * 9999999999 == seed",
        "arch.norm + 1 == 2",
        "arch.norm % 3 == 2",
        "-arch.norm == 1",
        "1 / 0 == seed",
        "seed % 0 == 1",
        "1e300 * 1e300 // 0 == 1",
    ],
)
def test_what_cannot_be_computed_says_so(text):
    with pytest.raises(BadInput, match=r"^where: ") as raised:
        Where(text)(KEYS)
    assert text in str(raised.value)


def test_an_unknown_key_is_answered_with_the_nearest():
    with pytest.raises(BadInput, match=r"unknown key 'arch.dept'; nearest: arch.depth"):
        Where("arch.dept == 20")(KEYS)


def test_a_key_may_have_the_name_of_a_word():
    assert Where("null == 1")({"null": 1})


@given(
    st.recursive(
        st.sampled_from(["seed", "2", "7.5", "depth"]),
        lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*"]), inner),
        max_leaves=6,
    ),
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.integers(-9, 9),
    st.integers(-9, 9),
)
def test_arithmetic_and_comparisons_are_pythons(term, comparison, seed, depth):
    text = f"{term} {comparison} 4 and not {term} == 1 or depth < seed"
    keys = {"seed": seed, "depth": depth}
    assert Where(text)(keys) is bool(eval(text, {}, dict(keys)))


@given(st.text(st.characters()))
def test_any_text_is_a_condition_or_bad_input(text):
    with contextlib.suppress(BadInput):
        Where(text)


def test_text_without_quotes_gets_a_hint():
    with pytest.raises(BadInput, match=r"unknown key 'batch' \(text is written in quotes\)"):
        Where("arch.norm == batch")(KEYS)
