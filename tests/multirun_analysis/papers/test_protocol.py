"""Protocols: those that the shipped experiments compose to, and what is a difference."""

import pytest
from protocols import FILE, protocols

from multirun_analysis.papers.protocol import FREE, differing, protocol
from multirun_analysis.papers.published import Role, published


def test_protocols_are_those_that_the_experiments_compose_to():
    assert FILE.read_text(encoding="utf-8") == protocols(), "run python tests/multirun_analysis/protocols.py"


def test_every_number_of_the_papers_is_of_a_cell_of_its_experiment():
    for number in published():
        if number.role is Role.PUBLISHED:
            expected = protocol(number)
            assert {key: expected[key] for key in number.position} == number.position
            assert not FREE & expected.keys()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, {}),
        ({"a": 2}, {"a": (2, 1)}),
        ({"a": 1.0}, {}),
        ({"b": None}, {"b": (None, (0.5, 1))}),
        ({"c": "mine"}, {"c": ("mine", None)}),  # a key that the protocol does not name
        ({"c": float("nan")}, {}),
        ({"seed": 7, "embedding.fingerprint": "x"}, {}),
    ],
)
def test_what_differs_is_named_with_both_values(change, found):
    run = {"a": 1, "b": (0.5, 1), "c": None, "seed": 0} | change
    assert differing(run, list(run), {"a": 1, "b": [0.5, 1]}) == found
