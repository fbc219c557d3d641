"""Initialisations: what they change and leave alone, and the law that each was made for."""

import math
from itertools import pairwise
from statistics import fmean, linear_regression

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taunode import build
from taunode.errors import BadInput
from taunode.models.imagenet import ImageNetResNet
from taunode.models.init import Fixup, Init, Smooth, ZeroLast
from taunode.models.resnet import CifarResNet
from taunode.models.tau import PowerLaw, TauRule
from taunode.models.tau_resnet import TauResNet
from taunode.training.stability import measure

MULTIPLIER = PowerLaw(1.0, 0.0, learn="block")
RESIDUALS = ["post_activation", "pre_activation"]
KINDS = {"cifar": (CifarResNet, 20, 8), "imagenet": (ImageNetResNet, 50, 32)}


def net(
    init: Init | None = None,
    depth: int | None = None,
    norm: str = "none",
    tau: TauRule = MULTIPLIER,
    residual: str = "post_activation",
    kind: str = "cifar",
    seed: int = 0,
) -> TauResNet:
    torch.manual_seed(seed)
    make, default, size = KINDS[kind]
    shape = {"in_channels": 3, "image_size": size, "classes": 10}
    return make(depth=depth or default, norm=norm, tau=tau, residual=residual, init=init, **shape)


def changed(init: Init, **values: str) -> set[str]:
    """The parameters that an initialisation leaves with other values."""
    before, after = (net(one, **values).state_dict() for one in (None, init))
    return {name for name, value in after.items() if name not in before or not torch.equal(value, before[name])}


def inputs(count: int = 4, size: int = 8) -> Tensor:
    return torch.randn(count, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_he_is_what_a_network_does_by_itself() -> None:
    assert build.complete({"arch": {}, "init": {"_target_": None}})["init"] is None


@pytest.mark.parametrize("residual", RESIDUALS)
@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_zero_last_makes_every_branch_zero_by_its_last_layer_alone(kind: str, norm: str, residual: str) -> None:
    built = net(ZeroLast(), norm=norm, residual=residual, kind=kind)
    x = torch.randn(4, 3, 32, 32)
    state = built.stem(x)
    for block in built.chain().blocks:
        assert not block.branch(state).any()
        state = block(state)
    last = {"cifar": "conv2", "imagenet": "conv3"}[kind]
    suffix = {"batch post": "norm.weight", "batch pre": "conv.weight", "none post": "conv.weight"}
    part = suffix.get(f"{norm} {residual.partition('_')[0]}", "conv.conv.weight")
    names = changed(ZeroLast(), norm=norm, residual=residual, kind=kind)
    assert {name.partition("branch.")[2] for name in names} == {f"{last}.{part}"}
    assert len(names) == len(built.chain().blocks)


@pytest.mark.parametrize("residual", RESIDUALS)
@pytest.mark.parametrize(("kind", "convolutions"), [("cifar", 2), ("imagenet", 3)])
def test_fixup_multiplies_all_but_the_last_convolution_of_a_branch(kind: str, convolutions: int, residual: str) -> None:
    before, after = (net(init, residual=residual, kind=kind) for init in (None, Fixup()))
    blocks = len(after.chain().blocks)
    factor = blocks ** (-1 / (2 * convolutions - 2))
    for plain, block in zip(before.chain().blocks, after.chain().blocks, strict=True):
        drawn, scaled = ([w for w in b.branch.parameters() if w.ndim == 4] for b in (plain, block))
        assert len(scaled) == convolutions
        assert not scaled[-1].any()
        for one, other in zip(drawn[:-1], scaled[:-1], strict=True):
            torch.testing.assert_close(other, one * factor)
        assert block.scale.tau.item() == 1  # the multiplier
    assert not after.head.weight.any()
    assert not after.head.bias.any()
    added = after.state_dict().keys() - before.state_dict().keys()
    assert added == {"last.1.bias"}  # before the head
    groups = {id(p): group["lr_factor"] for group in after.parameter_groups() for p in group["params"]}
    assert groups[id(after.last[1].bias)] == 0.1


def change_of_one_step(init: Init, depth: int, residual: str) -> float:
    """Of the logits, by the branches' weights and for a head that is drawn, over the learning rate."""
    built = net(init, depth, residual=residual).double()
    with torch.no_grad():
        built.head.weight.copy_(torch.randn(10, 64, generator=torch.Generator().manual_seed(2)))
    x, labels = inputs(8), torch.arange(8)
    before, rate = built(x), 1e-4
    F.cross_entropy(before, labels).backward()
    with torch.no_grad():
        for block in built.chain().blocks:
            for weight in block.branch.parameters():
                if weight.ndim == 4:
                    weight -= rate * weight.grad
        return (built(x) - before).square().mean().sqrt().item() / rate


@pytest.mark.parametrize("residual", RESIDUALS)
def test_with_fixup_a_step_changes_the_output_alike_at_every_depth(residual: str) -> None:
    """With the last layer at zero and the others as they were, in proportion to the number of blocks."""
    depths = [20, 56, 110]
    logs = [math.log(depth - 2) for depth in depths]
    slopes = {
        type(init): linear_regression(logs, [math.log(change_of_one_step(init, d, residual)) for d in depths]).slope
        for init in (Fixup(), ZeroLast())
    }
    assert abs(slopes[Fixup]) < 0.05
    assert slopes[ZeroLast] > 0.9


def loss_after(init: Init, depth: int, steps: int) -> float:
    built = net(init, depth).double()
    x, labels = inputs(8), torch.arange(8)
    groups = [{**group, "lr": 0.1 * group["lr_factor"]} for group in built.parameter_groups()]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(built(x), labels).backward()
        optimizer.step()
    return F.cross_entropy(built(x), labels).item()


def test_fixup_trains_alike_at_every_depth() -> None:
    fixup, zero_last = ([loss_after(init, depth, steps=15) for depth in (8, 20, 56)] for init in (Fixup(), ZeroLast()))
    assert max(fixup) < 0.75 * math.log(10)
    assert max(fixup) - min(fixup) < 0.05
    assert max(zero_last) - min(zero_last) > 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"norm": "batch"}, "init=fixup is for networks without normalisation: arch.norm=none"),
        (
            {"tau": PowerLaw(1.0, 0.0, learn="shared")},
            "init=fixup has a learned τ of 1 a block as its multiplier: tau=one tau.learn=block",
        ),
        (
            {"tau": PowerLaw(1.0, 0.5, learn="block")},
            "init=fixup has a learned τ of 1 a block as its multiplier: tau=one tau.learn=block",
        ),
    ],
)
def test_fixup_is_refused_where_it_is_none(values: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput) as error:
        net(Fixup(), **values)
    assert str(error.value) == message


@pytest.mark.parametrize("length", [0.0, -1.0, math.inf])
def test_a_length_that_cannot_be_is_named(length: float) -> None:
    with pytest.raises(BadInput, match=rf"^init\.length must be a finite number > 0, got {length}"):
        Smooth(length)


@pytest.mark.parametrize("length", [0.02, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("blocks", [3, 54, 300])
def test_the_root_of_the_covariance_is_one(blocks: int, length: float) -> None:
    """At 54 blocks and more its smallest eigenvalues are lost in rounding."""
    depths = [block / blocks for block in range(1, blocks + 1)]
    root = Smooth(length).root(depths)
    s = torch.tensor(depths, dtype=torch.float64)
    covariance = torch.exp(-((s[:, None] - s[None]) ** 2) / (2 * length**2))
    torch.testing.assert_close(root @ root.T, covariance, rtol=0, atol=1e-12)


def weights_of_a_stage(built: nn.Module, conv: str) -> Tensor:
    """(blocks, numbers): the third stage's, whose first block has another shape in its first convolution."""
    return torch.stack([block.branch.get_parameter(f"{conv}.conv.weight").flatten() for block in built.stages[2][1:]])


@pytest.mark.parametrize("length", [0.05, 0.1, 0.5])
def test_smooth_weights_have_the_covariance_asked_for(length: float) -> None:
    built = net(Smooth(length), depth=110, norm="batch", tau=PowerLaw(1.0, 1.0))
    blocks = torch.arange(38, 55, dtype=torch.float64) / 54
    expected = torch.exp(-((blocks[:, None] - blocks) ** 2) / (2 * length**2)) * 2 / (9 * 64)
    for conv in ("conv1", "conv2"):
        weights = weights_of_a_stage(built, conv).double()  # (17, 36864)
        found = weights @ weights.T / weights.shape[1]
        assert (found - expected).abs().max() < 5 * math.sqrt(2 / weights.shape[1]) * 2 / (9 * 64)
    first, second = (weights_of_a_stage(built, conv).double() for conv in ("conv1", "conv2"))
    mixed = first @ second.T / first.shape[1]  # the two convolutions of a branch are independent
    assert mixed.abs().max() < 5 * math.sqrt(1 / first.shape[1]) * 2 / (9 * 64)


def test_a_length_beyond_all_depths_makes_blocks_alike_and_one_below_leaves_them() -> None:
    alike = weights_of_a_stage(net(Smooth(1e3), depth=56, norm="batch"), "conv2")
    torch.testing.assert_close(alike, alike[:1].expand_as(alike), rtol=0, atol=1e-3)
    drawn, left = (weights_of_a_stage(net(init, depth=56, norm="batch"), "conv2") for init in (None, Smooth(1e-3)))
    torch.testing.assert_close(left, drawn)


def test_smooth_changes_the_branches_only_and_draws_nothing() -> None:
    names = changed(Smooth(0.5), norm="batch")
    assert all(".branch." in name and name.endswith("conv.weight") for name in names)
    states = []
    for init in (None, Smooth(0.5)):
        net(init)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def growths(init: Init | None, exponent: float, depths: list[int]) -> list[float]:
    found = []
    for depth in depths:
        built = [net(init, depth, tau=PowerLaw(1.0, exponent), residual="pre_activation", seed=s) for s in range(2)]
        readout = torch.randn(4, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        found.append(fmean(math.log(measure(one.double(), inputs(), readout).growth) for one in built))
    return found


def test_smooth_weights_move_the_threshold_from_one_half_to_one() -> None:
    """Independent ones are kept in range by τ = 1/√L, smooth ones only by 1/L."""
    depths = [20, 56, 110, 206]
    assert max(growths(None, 0.5, depths)) - min(growths(None, 0.5, depths)) < 0.15
    assert max(growths(Smooth(0.3), 1.0, depths)) - min(growths(Smooth(0.3), 1.0, depths)) < 0.15
    exploding = growths(Smooth(0.3), 0.5, depths)
    assert all(second > first + 0.5 for first, second in pairwise(exploding))
