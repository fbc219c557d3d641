"""Flow ResNets against the paper: counts, equations, what is random and what is zero at start."""

import math

import pytest
import torch
import torch.nn.functional as F
from oracles import flow_resnet

from taunode.errors import BadInput
from taunode.models.flow_resnet import FlowResNet, RkhsResNet, ShlResNet
from taunode.models.tau import Decreasing, PowerLaw

PARAMETERS = {  # layers: trainable with RKHS, all (arXiv 2112.05531; 3×32×32, 10 classes)
    1: (5_858_122, 9_986_890),
    10: (11_166_538, 20_603_722),
    20: (17_064_778, 32_400_202),
}
KINDS = [RkhsResNet, ShlResNet]


def net(
    kind: type[FlowResNet], layers=1, zero_init=True, channels=3, image_size=32, classes=10, tau=None
) -> FlowResNet:
    shape = {"in_channels": channels, "image_size": image_size, "classes": classes}
    return kind(layers=layers, zero_init=zero_init, tau=tau, **shape)


@pytest.mark.parametrize("layers", PARAMETERS)
def test_the_papers_parameter_counts(layers):
    trainable, total = PARAMETERS[layers]
    with torch.device("meta"):
        rkhs, shl = (net(kind, layers).facts() for kind in KINDS)
    assert rkhs == {"blocks": layers + 6, "parameters": total, "trainable_parameters": trainable}
    assert shl == {"blocks": layers + 6, "parameters": total, "trainable_parameters": total}


RULES = [None, PowerLaw(0.7, 0.5), PowerLaw(0.7, 0.5, learn="shared"), Decreasing(1.0, 1.0, 0.0, learn="block")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("layers", "size", "tau"), [(1, 32, None), *((3, 9, rule) for rule in RULES)])
def test_outputs_and_gradients_are_the_oracles(kind, layers, size, tau, train):
    built = net(kind, layers, zero_init=False, image_size=size, tau=tau).double()
    blocks = layers + 6
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if "norm" in name:
                parameter += 0.1 * torch.randn_like(parameter)  # leave γ = 1, β = 0 behind
        for _ in range(3):
            built(2 + 3 * torch.randn(4, 3, size, size, dtype=torch.float64))  # running statistics
    built.train(train)
    images, target = torch.randn(4, 3, size, size, dtype=torch.float64), torch.randint(10, (4,))

    weights = {name: value.detach().clone() for name, value in built.state_dict().items()}
    trained = {name: weights[name].requires_grad_() for name, _ in built.named_parameters()}
    taus = [1.0] * blocks if tau is None else tau.values([blocks])
    names = [name for name in weights if name.endswith("scale.tau")]
    if names:
        taus = [weights[name] for name in names] if len(names) > 1 else [weights[names[0]]] * blocks
    expected = flow_resnet(weights, images, layers, train, taus)
    logits = built(images)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)

    gradients = torch.autograd.grad(F.cross_entropy(expected, target), list(trained.values()))
    F.cross_entropy(logits, target).backward()
    for (name, parameter), gradient in zip(built.named_parameters(), gradients, strict=True):
        divisor = blocks if len(names) == 1 and name in names else 1
        torch.testing.assert_close(
            parameter.grad, gradient / divisor, rtol=0, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("kind", KINDS)
def test_no_tau_is_a_tau_of_one(kind):
    drawn = []
    for tau in (None, PowerLaw(1.0, 0.0)):
        torch.manual_seed(3)
        drawn.append(net(kind, 2, zero_init=False, image_size=8, tau=tau))
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(drawn[0](x), drawn[1](x))
    assert "tau" not in drawn[0].facts()
    assert drawn[1].facts() == drawn[0].facts() | {"tau": "1", "tau_value": 1.0}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [2, 19])
def test_with_tau_one_over_layers_the_third_stage_steps_as_eulers_method(kind, layers):
    built = net(kind, layers, zero_init=False, tau=PowerLaw(1 / layers, 0.0)).double()
    z = x = torch.randn(2, 256, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        for block in built.body.stage3[1:]:
            x = block(x)
            z = z + block.branch(z) / layers
        assert (x - z).abs().max() <= 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_every_branch_is_zero_at_start_unless_asked_otherwise(kind):
    for zero_init in (True, False):
        outputs = [w for name, w in net(kind, 3, zero_init).state_dict().items() if ".output." in name]
        assert len(outputs) == 9
        assert all(bool(weight.any()) != zero_init for weight in outputs)


@pytest.mark.parametrize("kind", KINDS)
def test_the_switch_leaves_all_other_weights_alone(kind):
    drawn = []
    for zero_init in (True, False):
        torch.manual_seed(3)
        drawn.append({k: v for k, v in net(kind, 2, zero_init).state_dict().items() if ".output." not in k})
    assert all(torch.equal(value, drawn[1][name]) for name, value in drawn[0].items())


def test_at_start_the_third_stage_does_nothing_after_its_first_block():
    stage = net(ShlResNet, 4).body.stage3[1:]
    x = torch.randn(2, 256, 4, 4)
    assert torch.equal(stage(x), x)


def test_random_features_are_normal_with_variance_by_the_fan_in():
    body = net(RkhsResNet).body
    for stage, channels_in in ((body.stage1, 64), (body.stage4, 256)):
        weight = stage[0].branch.features.weight.double()
        assert weight.std().item() == pytest.approx(1 / math.sqrt(9 * channels_in), rel=0.02)
        assert abs(weight.mean().item()) < 4 * weight.std().item() / math.sqrt(weight.numel())
        assert ((weight / weight.std()) ** 4).mean().item() == pytest.approx(3, abs=0.1)  # normal, not uniform


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_trains_every_parameter_and_leaves_random_features(kind):
    built = net(kind, 2, image_size=8)
    before = {name: value.clone() for name, value in built.state_dict().items()}
    optimizer = torch.optim.SGD([{**group, "lr": 0.1} for group in built.parameter_groups()])
    for _ in range(2):  # at the first, W = 0 hides Ω
        optimizer.zero_grad()
        F.cross_entropy(built(torch.randn(4, 3, 8, 8)), torch.randint(10, (4,))).backward()
        optimizer.step()
    for name, value in built.state_dict().items():
        fixed = kind is RkhsResNet and ".features." in name
        assert torch.equal(value, before[name]) == fixed, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 28, 10), (1, 8, 10), (3, 31, 3)])
def test_any_channels_size_and_classes(kind, channels, size, classes):
    built = net(kind, channels=channels, image_size=size, classes=classes)
    assert built.learned_tau() is None
    assert built(torch.randn(2, channels, size, size)).shape == (2, classes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layers": 0}, "arch.layers must be at least 1, got 0"),
        ({"image_size": 7}, "images of 7×7 pixels are too small for three stages of stride 2: at least 8×8"),
    ],
)
def test_what_cannot_be_is_named(values, message):
    with pytest.raises(BadInput) as error:
        net(RkhsResNet, **values)
    assert str(error.value) == message
