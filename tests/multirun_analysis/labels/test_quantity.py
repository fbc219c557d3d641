"""Quantities: what their names say."""

import math

import pytest

from multirun_analysis.labels.quantity import bounds, is_ranked, rises


@pytest.mark.parametrize(
    ("name", "up", "ranked"),
    [
        ("final_test_error", False, True),
        ("best_top5_error", False, True),
        ("final_val/accuracy", True, True),
        ("valAcc", True, True),
        ("final_train_loss", False, True),
        ("seconds", False, False),
        ("parameters", False, False),
        ("final_growth", False, False),
        ("test_error@3", False, True),
    ],
)
def test_whether_more_is_better(name, up, ranked):
    assert (rises(name), is_ranked(name)) == (up, ranked)


@pytest.mark.parametrize(
    ("name", "least", "most", "expected"),
    [
        ("final_test_error", 2.0, 9.0, (0, 100)),
        ("final_error", 2.0, 900.0, (0, math.inf)),  # of another program, and no percentage
        ("final_train_loss", 0.1, 5.0, (0, math.inf)),
        ("final_train_loss", -0.1, 5.0, (-math.inf, math.inf)),
        ("final_accuracy", 0.1, 0.9, (0, 1)),
        ("final_accuracy", 0.1, 90.0, (0, 100)),
        ("seconds", 1.0, 9.0, (0, math.inf)),
        ("final_reward", 1.0, 9.0, (-math.inf, math.inf)),
        ("final_test_error", math.nan, math.nan, (-math.inf, math.inf)),
    ],
)
def test_what_it_can_be(name, least, most, expected):
    assert bounds(name, least, most) == expected
