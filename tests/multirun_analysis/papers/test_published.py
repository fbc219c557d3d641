"""Published numbers: all there with their sources, and what is known of each."""

import math
from decimal import ROUND_CEILING, Decimal

import pytest

from multirun_analysis.papers.published import Role, Statistic, published


def test_every_number_has_a_source_a_role_and_a_network():
    numbers = published()
    assert len(numbers) == 60
    assert len({(n.figure, n.value, *n.position.items()) for n in numbers}) == 60
    for number in numbers:
        assert number.source
        assert 0 < number.mean < 100
        assert number.value in ("final_test_error", "best_test_error")
        assert number.position["arch._target_"].startswith("taunode.models.")
    references = {number.figure for number in numbers if number.role is Role.REFERENCE}
    assert references == {"he-table-6", "imagenet"}


@pytest.mark.parametrize(
    ("figure", "value", "words", "mean", "sd", "n", "diverged"),
    [
        ("tau-cifar-depth", "final_test_error", "CifarResNet depth=110 norm=batch τ=L^-1/2", 5.84, None, 0, None),
        ("flow-1a", "final_test_error", "RkhsNode layers=5 channels=32 passes=0", 2.14, 0.16, 20, 0),
        ("flow-1b", "best_test_error", "ShlNode layers=5 channels=32 passes=3", 0.90, 0.07, 20, 19),
        ("flow-2", "final_test_error", "RkhsNode layers=20 channels=4 passes=0", 16.0, 5.1, 20, 0),
        ("flow-3", "final_test_error", "RkhsResNet layers=20", 12.47, 0.23, 6, 0),
        ("he-table-6", "final_test_error", "CifarResNet depth=110 norm=batch τ=1", 6.61, 0.16, 5, None),
    ],
)
def test_what_is_known_of_a_number(figure, value, words, mean, sd, n, diverged):
    (number,) = [x for x in published() if (x.figure, x.value, x.words) == (figure, value, words)]
    assert (number.mean, number.n, number.diverged) == (mean, n, diverged)
    assert number.sd == sd if sd is not None else number.sd != number.sd


def test_last_epochs_are_those_of_the_seeds_that_reached_them():
    samples = {x.value: x.sample.n for x in published() if x.diverged == 6}
    assert samples == {"final_test_error": 14, "best_test_error": 20}


def test_every_number_says_what_was_averaged():
    """The bar chart of Zhang et al. and other papers' tables do not; the logs of Barboni et al. have every epoch."""
    kinds = {(number.figure, number.statistic) for number in published()}
    unknown = {"tau-cifar-depth", "he-table-6", "imagenet"}
    assert {figure for figure, statistic in kinds if statistic is Statistic.UNKNOWN} == unknown
    assert {figure for figure, statistic in kinds if statistic is not Statistic.UNKNOWN} == {
        number.figure for number in published()
    } - unknown
    for number in published():
        if number.statistic is not Statistic.UNKNOWN:
            assert (number.value == "best_test_error") == (number.statistic is Statistic.BEST)


def test_rounding_is_half_of_the_last_digit_or_of_a_pixel():
    for number in published():
        digits = {0.05: 1, 0.01: 2, 0.005: 2, 0.0005: 3}[number.rounding]
        assert round(number.mean, digits) == number.mean
        assert (number.rounding == 0.01) == (number.figure == "tau-cifar-depth")


def test_margins_are_an_sd_or_a_fortieth_and_references_have_none():
    for number in published():
        if number.role is Role.REFERENCE:
            assert math.isnan(number.margin)
            continue
        sd = 5.1 if number.mean == 16.0 else 0 if math.isnan(number.sd) else number.sd
        size = max(Decimal(str(number.mean)) / 40, Decimal(str(sd)))
        step = Decimal("0.05")
        assert number.margin == float((size / step).to_integral_value(ROUND_CEILING) * step), number
