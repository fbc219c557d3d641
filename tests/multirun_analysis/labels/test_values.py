"""Values: as a configuration writes them, and never two alike."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirun_analysis.labels.values import literal, number, short, text, texts, title
from taunode.runs.where import Where

NUMBERS = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | st.text(max_size=5)


def test_values_are_told_as_a_configuration_writes_them():
    values = [(16, 32), None, pd.NA, float("nan"), True, np.bool_(False), 0.1, 1e-5, 20.0, 3, "a.B"]
    assert [text(value) for value in values] == [
        *("[16, 32]", "–", "–", "–", "true", "false", "0.1", "1e-05", "20", "3", "a.B"),
    ]


def test_networks_have_the_papers_names_and_others_their_own():
    assert text("taunode.models.ode.RkhsNode", "arch._target_") == "RKHS"
    assert text("taunode.models.flow_resnet.ShlResNet", "arch._target_") == "SHL ResNet"
    assert text("mine.RkhsNode", "arch._target_") == "RkhsNode"
    assert text("torch.optim.SGD", "optimizer._target_") == "SGD"


def test_keys_have_short_names():
    keys = ["arch.depth", "tau", "arch._target_", "optimizer._target_", "seed", "model.net._target_"]
    assert [short(key) for key in keys] == ["depth", "τ", "network", "optimizer", "seed", "net"]


def test_a_number_has_the_digits_that_tell_it_apart():
    rates = [10 ** (-3 + place / 6) for place in range(3)]
    assert texts(rates) == ["0.001", "0.0014678", "0.00215443"]
    assert texts([0.1, 0.1000001]) == ["0.1", "0.1000001"]


@given(st.lists(PLAIN, max_size=8))
def test_what_differs_has_different_texts(values):
    shown = dict(zip(map(literal, values), texts(values), strict=True))
    assert len(set(shown.values())) == len(shown)


@given(PLAIN)
def test_a_literal_can_be_typed_in_a_condition(value):
    assert Where(f"key == {literal(value)}")({"key": value})


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (6.6249, "final_test_error", "6.62"),
        (100.0, "best_test_error", "100.00"),
        (0.0123456, "final_train_loss", "0.01235"),
        (2.0, "seconds", "2.000"),
        (1234.56, "seconds", "1235"),
        (1728058.0, "parameters", "1728058"),
        (0.0, "final_train_loss", "0"),
        (1.2e-7, "final_train_loss", "1.2e-07"),
        (float("inf"), "final_train_loss", "inf"),
    ],
)
def test_numbers_have_the_digits_that_matter(value, name, text):
    assert number(value, name) == text


def test_titles_say_the_unit():
    assert title("final_test_error") == "final test error (%)"
    assert title("seconds") == "seconds (s)"
    assert title("test_error@3") == "test error@3 (%)"
