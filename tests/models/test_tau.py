"""The τ family: its values and its labels."""

import math
from typing import Literal, get_type_hints

import pytest

from taunode.errors import BadInput
from taunode.models.tau import Decreasing, Listed, PowerLaw

STAGES = [3, 4, 2]


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("exponent", [-0.5, 0.0, 0.25, 0.4, 0.5, 1.0])
@pytest.mark.parametrize(("blocks", "count"), [("total", 9), ("largest_stage", 4)])
def test_a_power_law_gives_every_block_its_formula(scale, exponent, blocks, count):
    rule = PowerLaw(scale, exponent, blocks=blocks)
    assert rule.counts(STAGES) == count
    assert rule.values(STAGES) == pytest.approx([scale * math.exp(-exponent * math.log(count))] * 9, rel=1e-14)


@pytest.mark.parametrize(
    ("depth", "tau"), [(20, 0.333333), (32, 0.258199), (56, 0.192450), (110, 0.136083), (1202, 0.040825)]
)
def test_the_papers_values(depth, tau):
    assert PowerLaw(1.0, 0.5).values([(depth - 2) // 6] * 3)[0] == pytest.approx(tau, abs=5e-7)


@pytest.mark.parametrize(("stages", "tau"), [([3, 4, 6, 3], 0.8165), ([3, 4, 23, 3], 0.4170), ([3, 8, 36, 3], 0.3333)])
def test_the_papers_values_by_the_largest_stage(stages, tau):
    assert PowerLaw(2.0, 0.5, blocks="largest_stage").values(stages)[0] == pytest.approx(tau, abs=5e-5)


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        (PowerLaw(1.0, 0.0), "1"),
        (PowerLaw(1, 0), "1"),
        (PowerLaw(1.0, 0.5), "L^-1/2"),
        (PowerLaw(1.0, 0.25), "L^-1/4"),
        (PowerLaw(1.0, 0.75), "L^-3/4"),
        (PowerLaw(1.0, 1 / 3), "L^-1/3"),
        (PowerLaw(1.0, 0.333), "L^-0.333"),
        (PowerLaw(1.0, 0.2), "L^-0.2"),
        (PowerLaw(1.0, 1.0), "L^-1"),
        (PowerLaw(1.0, 0.4), "L^-0.4"),
        (PowerLaw(1.0, -0.5), "L^1/2"),
        (PowerLaw(0.5, 0.5), "0.5·L^-1/2"),
        (PowerLaw(0.136, 0.0), "0.136"),
        (PowerLaw(0.0, 0.5), "0"),
        (PowerLaw(-0.0, -0.0), "0"),
        (PowerLaw(1.0, 0.5, learn="shared"), "L^-1/2 learned"),
        (PowerLaw(0.0, 0.0, learn="block"), "0 learned per block"),
        (PowerLaw(1e-4, 0.0, learn="channel"), "0.0001 learned per channel"),
        (PowerLaw(2.0, 0.5, blocks="largest_stage"), "2·L^-1/2 of the largest stage"),
        (PowerLaw(2.0, 0.5, blocks="largest_stage", learn="shared"), "2·L^-1/2 of the largest stage learned"),
        (PowerLaw(2.0, 0.0, blocks="largest_stage"), "2"),
        (Decreasing(1.0, 0.5, 1.0), "l^-1/2·ln(l+1)^-1"),
        (Decreasing(0.5, 1.0, 0.0), "0.5·l^-1"),
        (Decreasing(1.0, 0.0, 0.0), "1"),
        (Decreasing(0.0, 0.5, 1.0), "0"),
        (Decreasing(1.0, 1.0, 0.0, learn="block"), "l^-1 learned per block"),
        (Listed([1.0, 1.0, 0.5]), "1×2 0.5"),
        (Listed([0.5] * 54, learn="channel"), "0.5×54 learned per channel"),
    ],
)
def test_a_label_is_made_from_the_values(rule, label):
    assert rule.label() == label


def test_rules_that_differ_have_labels_that_differ():
    numbers = [0.1, 0.13608276348795434, 0.136083, 0.5, 1.0, 2.0]
    labels = {PowerLaw(scale, exponent).label() for scale in numbers for exponent in numbers}
    assert len(labels) == len(numbers) ** 2


def test_long_lists_that_differ_have_short_labels_that_differ():
    each = [1 / block for block in range(1, 55)]
    labels = {Listed(each).label(), Listed([*each[:-1], 0.0]).label(), Listed([*each, 0.0]).label()}
    assert len(labels) == 3
    assert all(len(label) <= 40 for label in labels)


def test_a_decreasing_tau_has_the_value_of_its_block_whatever_the_depth():
    for blocks in (1, 9, 54):
        values = Decreasing(0.8, 0.5, 1.0).values([blocks])
        assert values == pytest.approx(
            [0.8 / (math.sqrt(b) * math.log(b + 1)) for b in range(1, blocks + 1)], rel=1e-14
        )
    assert Decreasing(0.5, 1.0, 0.0).values([2, 1]) == pytest.approx([0.5, 0.25, 0.5 / 3])


def test_the_squares_of_the_stable_sequence_have_a_finite_sum_and_those_of_its_root_have_not():
    stable, harmonic = (
        [sum(tau**2 for tau in rule.values([blocks])) for blocks in (10**2, 10**4, 10**5)]
        for rule in (Decreasing(1.0, 0.5, 1.0), Decreasing(1.0, 0.5, 0.0))
    )
    assert stable[2] - stable[1] < 1 / math.log(10**4)  # the tail of Σ 1/(l·ln²l)
    assert harmonic[2] - harmonic[1] == pytest.approx(math.log(10), rel=1e-3)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda: Decreasing(-1.0, 1.0, 0.0), "tau.scale must be a finite number >= 0, got -1.0"),
        (lambda: Decreasing(1.0, 1.0, math.nan), "tau.log_exponent must be a finite number, got nan"),
        (
            lambda: Decreasing(1.0, -500.0, 0.0).values(STAGES),
            "tau is not finite in all of 9 blocks: tau's exponents must be larger",
        ),
        (lambda: Listed([1.0, -0.5]), "tau.each[1] must be a finite number >= 0, got -0.5"),
        (lambda: Listed([1.0, 0.5]).values(STAGES), "tau.each has 2 numbers, the network 9 blocks"),
    ],
)
def test_what_a_rule_with_a_value_a_block_refuses(rule, message):
    with pytest.raises(BadInput) as error:
        rule()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scale": -1}, "tau.scale must be a finite number >= 0, got -1"),
        ({"scale": math.nan}, "tau.scale must be a finite number >= 0, got nan"),
        ({"scale": math.inf}, "tau.scale must be a finite number >= 0, got inf"),
        ({"exponent": math.inf}, "tau.exponent must be a finite number, got inf"),
        ({"exponent": math.nan}, "tau.exponent must be a finite number, got nan"),
        ({"lr_factor": -0.1}, "tau.lr_factor must be a finite number >= 0, got -0.1"),
    ],
)
def test_a_number_that_cannot_be_is_named(values, message):
    with pytest.raises(BadInput) as error:
        PowerLaw(**({"scale": 1.0, "exponent": 0.5} | values))
    assert str(error.value) == message


@pytest.mark.parametrize(("scale", "exponent"), [(1.0, -1000.0), (1e308, -1.0)])
def test_a_tau_that_overflows_is_named(scale, exponent):
    with pytest.raises(BadInput, match=r"·9\^1.* is not finite"):
        PowerLaw(scale, exponent).values(STAGES)


def test_configured_values_can_be_checked_against_the_annotations():
    assert get_type_hints(PowerLaw) == {
        "scale": float,
        "exponent": float,
        "blocks": Literal["total", "largest_stage"],
        "learn": Literal["none", "shared", "block", "channel"],
        "lr_factor": float,
    }
