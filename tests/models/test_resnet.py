"""The τ-ResNet for CIFAR-sized images against the paper: counts, equations, and what batch normalisation makes of τ."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from oracles import cifar_resnet

from taunode.errors import BadInput
from taunode.models.cifar import stages
from taunode.models.resnet import CifarResNet
from taunode.models.tau import Decreasing, Listed, PowerLaw

PARAMETERS = {  # depth: with BN, without (arXiv 1903.07120; 3×32×32, 10 classes)
    20: (269_818, 268_383),
    32: (464_250, 461_943),
    44: (658_682, 655_503),
    56: (853_114, 849_063),
    110: (1_728_058, 1_720_083),
    1202: (19_421_370, 19_334_043),
}


def net(depth=8, norm="batch", tau=None, channels=3, image_size=8, classes=10):
    tau = tau or PowerLaw(1.0, 0.5, learn="shared" if norm == "none" else "none")
    return CifarResNet(depth=depth, norm=norm, tau=tau, in_channels=channels, image_size=image_size, classes=classes)


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("depth", PARAMETERS)
def test_the_papers_parameter_counts(depth, norm):
    with torch.device("meta"):
        built = net(depth, norm, image_size=32)
    assert built.blocks == (depth - 2) // 2
    assert sum(p.numel() for p in built.parameters()) == PARAMETERS[depth][norm == "none"]


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize(
    ("channels", "size", "classes"), [(1, 28, 10), (1, 8, 10), (3, 32, 100), (2, 31, 3), (3, 4, 2)]
)
def test_any_channels_size_and_classes(norm, channels, size, classes):
    built = net(14, norm, channels=channels, image_size=size, classes=classes)
    images = torch.randn(2, channels, size, size)
    last = built.stages(built.stem(images))
    assert last.shape == (2, 64, -(-size // 4), -(-size // 4))
    assert built(images).shape == (2, classes)


@pytest.mark.parametrize(
    ("depth", "near"), [(21, "20, 26"), (25, "20, 26"), (2, "8, 14"), (0, "8, 14"), (-3, "8, 14"), (1200, "1196, 1202")]
)
def test_a_depth_that_is_not_6n_plus_2_is_named_with_the_nearest(depth, near):
    with pytest.raises(BadInput) as error:
        net(depth)
    assert str(error.value) == f"arch.depth must be 6n+2, got {depth}; nearest: {near}"


def test_a_depth_of_a_typing_error_is_refused_before_it_is_built():
    with pytest.raises(BadInput, match=r"^arch\.depth must be at most 100,000, got 1,000,004$"):
        stages(1_000_004)


def test_images_too_small_are_named():
    with pytest.raises(BadInput, match=r"3×3 pixels are too small .* at least 4×4"):
        net(image_size=3)


@pytest.mark.parametrize("learn", ["none", "shared", "block", "channel"])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    ("norm", "depth", "size"), [("batch", 20, 12), ("batch", 14, 9), ("none", 20, 12), ("none", 14, 9)]
)
def test_outputs_and_gradients_are_the_oracles(norm, depth, size, train, learn):
    built = net(depth, norm, PowerLaw(0.8, 0.5, learn=learn), image_size=size).double()
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if not name.endswith("conv.weight"):
                parameter += 0.1 * torch.randn_like(parameter)  # leave γ = 1, β = 0, b = 0, one τ behind
        for _ in range(3):
            built(2 + 3 * torch.randn(8, 3, size, size, dtype=torch.float64))  # running statistics
    built.train(train)
    images = torch.randn(6, 3, size, size, dtype=torch.float64)
    target = torch.randint(10, (6,))

    weights = {name: value.detach().clone() for name, value in built.state_dict().items()}
    trained = {name: weights[name].requires_grad_() for name, _ in built.named_parameters()}
    n = (depth - 2) // 6
    names = [f"stages.{stage}.{index}.scale.tau" for stage in range(3) for index in range(n)]
    if learn == "none":
        taus = [torch.tensor(0.8 / math.sqrt(3 * n), dtype=torch.float64)] * (3 * n)
    elif learn == "shared":
        taus = [weights[names[0]]] * (3 * n)
    else:
        taus = [weights[name] for name in names]
    expected = cifar_resnet(weights, images, n, taus, norm, train)
    logits = built(images)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)

    gradients = torch.autograd.grad(F.cross_entropy(expected, target), list(trained.values()))
    F.cross_entropy(logits, target).backward()
    for (name, parameter), gradient in zip(built.named_parameters(), gradients, strict=True):
        divisor = 3 * n if learn == "shared" and name == names[0] else 1
        torch.testing.assert_close(
            parameter.grad, gradient / divisor, rtol=0, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}"
        )


def last_affines(built: CifarResNet) -> list[torch.nn.Parameter]:
    """γ and β of the last batch normalisation of every block's branch."""
    return [p for name, p in built.named_parameters() if ".branch.conv2.norm." in name]


def test_a_fixed_tau_with_batch_norm_is_a_reparametrisation_of_the_last_affine():
    """Initial γ·τ and β·τ, learning rate·τ², weight decay/τ²: the same losses with no τ at all."""
    rate, decay = 0.1, 1e-2
    ours = net(20, "batch", PowerLaw(1.0, 0.5)).double()
    other = net(20, "batch", PowerLaw(1.0, 0.0)).double()
    other.load_state_dict(ours.state_dict())
    tau = 1 / math.sqrt(9)
    affines = last_affines(other)
    with torch.no_grad():
        for parameter in affines:
            parameter *= tau
    ids = {id(p) for p in affines}
    rest = [p for p in other.parameters() if id(p) not in ids]
    optimizers = [
        torch.optim.SGD(ours.parameters(), lr=rate, momentum=0.9, weight_decay=decay),
        torch.optim.SGD(
            [{"params": rest}, {"params": affines, "lr": rate * tau**2, "weight_decay": decay / tau**2}],
            lr=rate,
            momentum=0.9,
            weight_decay=decay,
        ),
    ]
    losses: list[list[float]] = [[], []]
    for _ in range(20):
        images, target = torch.randn(16, 3, 8, 8, dtype=torch.float64), torch.randint(10, (16,))
        for built, optimizer, record in zip((ours, other), optimizers, losses, strict=True):
            optimizer.zero_grad()
            loss = F.cross_entropy(built(images), target)
            loss.backward()
            optimizer.step()
            record.append(loss.item())
    assert max(abs(a - b) for a, b in zip(*losses, strict=True)) <= 1e-12
    assert max(losses[0]) - min(losses[0]) > 0.1  # they did train


@pytest.mark.parametrize("learn", ["none", "shared", "block", "channel"])
@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("lr_factor", [0.0, 0.1, 0.3, 1.0])
def test_every_parameter_is_in_one_group(norm, learn, lr_factor):
    built = net(14, norm, PowerLaw(1.0, 0.5, learn=learn, lr_factor=lr_factor))
    groups = built.parameter_groups()
    assert all(set(group) == {"params", "lr_factor"} and group["params"] for group in groups)
    factors = {id(p): group["lr_factor"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(factors) == len(list(built.parameters()))
    for name, parameter in built.named_parameters():
        kind = name.rsplit(".", 2)[1]
        expected = {"scale": lr_factor, "before": 0.1, "after": 0.1}.get(kind, 1.0)
        assert factors[id(parameter)] == expected, name


def test_the_present_tau_can_be_read():
    assert net(20, "batch", PowerLaw(0.7, 0.0)).learned_tau() is None
    for learn in ("shared", "block", "channel"):
        built = net(20, "none", PowerLaw(0.5, 0.0, learn=learn))
        assert built.learned_tau() == 0.5
    with torch.no_grad():
        built.stages[0][0].scale.tau[:8] = 1.5  # half of the channels of one of nine blocks
    assert built.learned_tau() == pytest.approx(0.5 + 1.0 / 18)


def test_a_tau_a_block_is_in_its_block_and_has_no_one_value():
    facts = net(20, "none", Decreasing(1.0, 1.0, 0.0)).facts()
    assert (facts["tau"], facts["blocks"]) == ("l^-1", 9)
    assert "tau_value" not in facts
    assert net(20, "none", Listed([0.5] * 9)).facts()["tau_value"] == 0.5
    built = net(20, "none", Decreasing(1.0, 1.0, 0.0, learn="block"))
    taus = [block.scale.tau.item() for stage in built.stages for block in stage]
    assert taus == pytest.approx([1 / block for block in range(1, 10)])


def test_norm_and_tau_leave_the_drawn_weights_alone():
    drawn = []
    for norm, learn in (("batch", "none"), ("none", "none"), ("none", "channel")):
        torch.manual_seed(3)
        state = net(14, norm, PowerLaw(1.0, 0.5, learn=learn)).state_dict()
        drawn.append([value for name, value in state.items() if name.endswith("conv.weight") or "head" in name])
    assert all(torch.equal(a, b) for other in drawn[1:] for a, b in zip(drawn[0], other, strict=True))


def test_a_copy_with_a_shared_tau_trains_like_the_original():
    original = net(14, "none").double()
    twin = copy.deepcopy(original)
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    for built in (original, twin):
        built(images).square().sum().backward()
    pairs = zip(original.parameters(), twin.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) and a is not b for a, b in pairs)


def test_memory_format_does_not_change_the_result():
    built = net(20, "batch", image_size=9).double()
    images = torch.randn(4, 3, 9, 9, dtype=torch.float64)
    expected = built(images)
    strided = built.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(strided, expected, rtol=1e-10, atol=1e-10)
