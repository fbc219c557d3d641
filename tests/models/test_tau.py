"""The τ family: its values and its labels."""

import math
from typing import Literal, get_type_hints

import pytest

from taunode.errors import BadInput
from taunode.models.tau import PowerLaw

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
    ],
)
def test_a_label_is_made_from_the_values(rule, label):
    assert rule.label() == label


def test_rules_that_differ_have_labels_that_differ():
    numbers = [0.1, 0.13608276348795434, 0.136083, 0.5, 1.0, 2.0]
    labels = {PowerLaw(scale, exponent).label() for scale in numbers for exponent in numbers}
    assert len(labels) == len(numbers) ** 2


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
