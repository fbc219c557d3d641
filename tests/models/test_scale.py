"""The modules that apply τ: their gradients, and what survives a copy."""

import collections
import copy
import io

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from taunode.models.resnet import CifarResNet
from taunode.models.scale import BorrowedScale, FixedScale, LearnedScale, scales
from taunode.models.tau import PowerLaw

STAGES = [3, 4, 2]
CHANNELS = [5, 6, 7]


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


class Operators(TorchDispatchMode):
    """Counts what is computed, by name."""

    def __init__(self):
        super().__init__()
        self.counts = collections.Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.counts[str(func.overloadpacket)] += 1
        return func(*args, **kwargs or {})


def operators(learn):
    """Of a forward pass through nine blocks without normalisation."""
    tau = PowerLaw(1.0, 0.5, learn=learn)
    built = CifarResNet(depth=20, norm="none", tau=tau, in_channels=3, image_size=8, classes=10)
    with Operators() as seen:
        built(torch.randn(2, 3, 8, 8))
    return seen.counts


def test_a_shared_tau_is_averaged_once_a_forward_pass():
    assert operators("shared")["aten.lerp"] == 1


def test_a_fixed_tau_costs_no_operator_of_its_own():
    assert operators("none")["aten.mul"] == 0
    assert operators("shared")["aten.mul"] == 9


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
