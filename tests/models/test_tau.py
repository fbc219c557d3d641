"""The τ family: its values, its labels, its gradients, and what survives a copy."""

import copy
import io
import math
from typing import Literal, get_type_hints

import pytest
import torch

from taunode.errors import BadInput
from taunode.models.tau import BorrowedScale, FixedScale, LearnedScale, PowerLaw, scales

STAGES = [3, 4, 2]
CHANNELS = [5, 6, 7]


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


@pytest.mark.parametrize("learn", ["none", "shared", "block", "channel"])
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_every_member_multiplies_by_tau(learn, scale):
    rule = PowerLaw(scale, 0.5, learn=learn)
    modules = scales(rule, STAGES, CHANNELS)
    widths = [5] * 3 + [6] * 4 + [7] * 2
    for module, width, tau in zip(modules, widths, rule.values(STAGES), strict=True):
        branch = torch.randn(2, width, 4, 3)
        torch.testing.assert_close(module(branch), branch * tau)


@pytest.mark.parametrize(("learn", "numbers"), [("none", 0), ("shared", 1), ("block", 9), ("channel", 53)])
def test_every_member_has_as_many_numbers_as_it_says(learn, numbers):
    modules = torch.nn.ModuleList(scales(PowerLaw(1.0, 0.5, learn=learn), STAGES, CHANNELS))
    assert sum(p.numel() for p in modules.parameters()) == numbers
    assert sum(v.numel() for v in modules.state_dict().values()) == numbers


def test_a_fixed_tau_of_one_is_free():
    branch = torch.randn(1, 2, 3, 3)
    assert FixedScale(1.0)(branch) is branch


def shared(blocks: int, dtype: torch.dtype = torch.float64) -> torch.nn.ModuleList:
    return torch.nn.ModuleList(scales(PowerLaw(0.7, 0.5, learn="shared"), [blocks], [2])).to(dtype)


def gradient_of_tau(modules: torch.nn.ModuleList, branches: list[torch.Tensor]) -> float:
    """Of Σ_l Σ τ·branch_l²/2, by the shared τ."""
    sum((module(x) * x).sum() / 2 for module, x in zip(modules, branches, strict=True)).backward()
    return modules[0].tau.grad.item()


def through_state_dict(modules: torch.nn.ModuleList) -> torch.nn.ModuleList:
    """A new list of modules with the weights of `modules`, by way of the meta device."""
    with torch.device("meta"):
        new = shared(len(modules))
    new.to_empty(device="cpu")
    new.load_state_dict(modules.state_dict())
    return new


def through_a_file(modules: torch.nn.ModuleList) -> torch.nn.ModuleList:
    file = io.BytesIO()
    torch.save(modules, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("way", [lambda m: m, copy.deepcopy, through_state_dict, through_a_file])
@pytest.mark.parametrize("blocks", [1, 2, 7])
def test_the_shared_gradient_is_the_average_over_blocks(way, blocks):
    modules = way(shared(blocks))
    branches = [torch.randn(3, 2, 2, 2, dtype=torch.float64) for _ in range(blocks)]
    average = sum(float((x * x).sum()) / 2 for x in branches) / blocks
    assert gradient_of_tau(modules, branches) == pytest.approx(average, rel=1e-13)


def test_a_copy_shares_one_tau_of_its_own():
    original = shared(3)
    twin = copy.deepcopy(original)
    with torch.no_grad():
        twin[0].tau.fill_(5.0)
    x = torch.ones(1, 2, 1, 1, dtype=torch.float64)
    assert all(torch.equal(module(x), 5 * x) for module in twin)
    assert all(not torch.equal(module(x), 5 * x) for module in original)


def test_the_shared_value_is_exact_in_every_block():
    modules = shared(7, torch.float32)
    x = torch.ones(1, 2, 1, 1)
    assert isinstance(modules[6], BorrowedScale)
    assert all(torch.equal(module(x), x * modules[0].tau) for module in modules)


def test_the_average_survives_compilation():
    modules = shared(4)
    branches = [torch.randn(3, 2, 2, 2, dtype=torch.float64) for _ in modules]
    eager = gradient_of_tau(copy.deepcopy(modules), branches)

    def loss(inputs: list[torch.Tensor]) -> torch.Tensor:
        return sum((module(x) * x).sum() / 2 for module, x in zip(modules, inputs, strict=True))

    torch.compile(loss, backend="aot_eager", fullgraph=True)(branches).backward()
    assert modules[0].tau.grad.item() == pytest.approx(eager, rel=1e-13)


def test_a_tau_per_channel_does_not_widen_a_half_precision_branch():
    scale = LearnedScale(torch.full((2, 1, 1), 0.5), lr_factor=0.1)
    assert scale(torch.ones(1, 2, 3, 3, dtype=torch.bfloat16)).dtype == torch.bfloat16
