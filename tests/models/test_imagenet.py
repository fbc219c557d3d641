"""The τ-ResNet for ImageNet against the paper and against torchvision: counts, equations, copied weights."""

import re

import pytest
import torch
import torch.nn.functional as F
from oracles import imagenet_resnet

from taunode.errors import BadInput
from taunode.models.imagenet import ImageNetResNet
from taunode.models.tau import PowerLaw

STAGES = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
PARAMETERS = {  # depth: with BN, without (arXiv 1903.07120; 3×224×224, 1,000 classes)
    50: (25_557_032, 25_504_009),
    101: (44_549_160, 44_444_015),
    152: (60_192_808, 60_041_685),
}


def net(depth=50, norm="batch", tau=None, channels=3, image_size=64, classes=10):
    learn = "shared" if norm == "none" else "none"
    tau = tau or PowerLaw(2.0, 0.5, blocks="largest_stage", learn=learn)
    return ImageNetResNet(depth=depth, norm=norm, tau=tau, in_channels=channels, image_size=image_size, classes=classes)


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("depth", PARAMETERS)
def test_the_papers_parameter_counts(depth, norm):
    with torch.device("meta"):
        built = net(depth, norm, image_size=224, classes=1000)
    facts = built.facts()
    assert built.blocks == sum(STAGES[depth])
    assert facts["blocks"] == max(STAGES[depth])
    assert facts["parameters"] == facts["trainable_parameters"] == PARAMETERS[depth][norm == "none"]


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("learn", ["none", "shared", "block"])
def test_outputs_and_gradients_are_the_oracles(norm, train, learn):
    rule = PowerLaw(2.0, 0.5, blocks="largest_stage", learn=learn)
    built = net(50, norm, rule).double()
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if not name.endswith("conv.weight"):
                parameter += 0.1 * torch.randn_like(parameter)  # leave γ = 1, β = 0, b = 0, one τ behind
        for _ in range(2):
            built(1 + 2 * torch.randn(4, 3, 64, 64, dtype=torch.float64))  # running statistics
    built.train(train)
    images, target = torch.randn(4, 3, 64, 64, dtype=torch.float64), torch.randint(10, (4,))

    weights = {name: value.detach().clone() for name, value in built.state_dict().items()}
    trained = {name: weights[name].requires_grad_() for name, _ in built.named_parameters()}
    names = [f"stages.{stage}.{index}.scale.tau" for stage, count in enumerate(STAGES[50]) for index in range(count)]
    if learn == "none":
        taus = [torch.tensor(2 / 6**0.5, dtype=torch.float64)] * 16
    else:
        taus = [weights[name if learn == "block" else names[0]] for name in names]
    expected = imagenet_resnet(weights, images, STAGES[50], taus, norm, train)
    logits = built(images)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)

    gradients = torch.autograd.grad(F.cross_entropy(expected, target), list(trained.values()))
    F.cross_entropy(logits, target).backward()
    for (name, parameter), gradient in zip(built.named_parameters(), gradients, strict=True):
        divisor = 16 if learn == "shared" and name == names[0] else 1
        torch.testing.assert_close(
            parameter.grad, gradient / divisor, rtol=0, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}"
        )


def torchvision_name(ours: str) -> str:
    """The name of a weight in torchvision's ResNet."""
    name = re.sub(r"^stages\.(\d)", lambda match: f"layer{int(match[1]) + 1}", ours)
    name = re.sub(r"branch\.conv(\d)\.conv", r"conv\1", name)
    name = re.sub(r"branch\.conv(\d)\.norm", r"bn\1", name)
    for part, theirs in (("stem.conv", "conv1"), ("stem.norm", "bn1"), ("head", "fc")):
        name = name.replace(part, theirs)
    return name.replace("shortcut.conv", "downsample.0").replace("shortcut.norm", "downsample.1")


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("depth", [50, 101])
def test_with_tau_one_it_is_torchvisions(depth, train):
    models = pytest.importorskip("torchvision.models")
    theirs = getattr(models, f"resnet{depth}")(num_classes=10).double()
    ours = net(depth, "batch", PowerLaw(1.0, 0.0)).double()
    for _ in range(2):
        theirs(torch.randn(4, 3, 64, 64, dtype=torch.float64))  # running statistics
    state = theirs.state_dict()
    ours.load_state_dict({name: state.pop(torchvision_name(name)) for name in ours.state_dict()})
    assert not state
    images = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(ours.train(train)(images), theirs.train(train)(images), rtol=0, atol=1e-10)


def test_scalar_biases_and_tau_learn_at_a_tenth_of_the_rate():
    built = net(50, "none")
    groups = {group["lr_factor"]: group["params"] for group in built.parameter_groups()}
    assert sum(p.numel() for p in groups[0.1]) == 16 * 6 + 1
    assert {id(p) for group in groups.values() for p in group} == {id(p) for p in built.parameters()}
    assert built.learned_tau() == pytest.approx(2 / 6**0.5)


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 32, 10), (3, 65, 3)])
def test_any_channels_size_and_classes(norm, channels, size, classes):
    built = net(50, norm, channels=channels, image_size=size, classes=classes)
    images = torch.randn(2, channels, size, size)
    assert built.stages(built.stem(images)).shape == (2, 2048, -(-size // 32), -(-size // 32))
    assert built(images).shape == (2, classes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"depth": 34}, "arch.depth must be one of 50, 101, 152, got 34"),
        ({"image_size": 31}, "images of 31×31 pixels are too small to be halved five times: at least 32×32"),
    ],
)
def test_what_cannot_be_is_named(values, message):
    with pytest.raises(BadInput) as error:
        net(**values)
    assert str(error.value) == message
