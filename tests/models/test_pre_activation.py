"""`residual: pre_activation`: the equations, and a skip path that is the identity."""

import pytest
import torch
import torch.nn.functional as F
from oracles import preactivation_resnet
from torch import Tensor

from taunode.models.imagenet import ImageNetResNet
from taunode.models.resnet import CifarResNet
from taunode.models.tau import PowerLaw
from taunode.models.tau_resnet import TauResNet

KINDS = {
    "cifar": (CifarResNet, 20, [3, 3, 3], (3, 3), 12),
    "imagenet": (ImageNetResNet, 50, [3, 4, 6, 3], (1, 3, 1), 64),
}


def net(name: str, norm: str, learn: str = "none", residual: str = "pre_activation", scale: float = 0.8) -> TauResNet:
    kind, depth, _, _, size = KINDS[name]
    tau = PowerLaw(scale, 0.5, learn=learn)
    shape = {"in_channels": 3, "image_size": size, "classes": 10}
    return kind(depth=depth, norm=norm, tau=tau, residual=residual, **shape).double()


def images(name: str, count: int = 4) -> Tensor:
    return torch.randn(count, 3, KINDS[name][4], KINDS[name][4], dtype=torch.float64)


@pytest.mark.parametrize("learn", ["none", "shared", "block"])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("name", KINDS)
def test_outputs_and_gradients_are_the_oracles(name, norm, train, learn):
    _, _, blocks, kernels, _ = KINDS[name]
    built = net(name, norm, learn)
    with torch.no_grad():
        for key, parameter in built.named_parameters():
            if not key.endswith("conv.weight"):
                parameter += 0.1 * torch.randn_like(parameter)  # leave γ = 1, β = 0, b = 0, one τ behind
        for _ in range(3):
            built(1 + 2 * images(name))  # running statistics
    built.train(train)
    x, target = images(name), torch.randint(10, (4,))

    weights = {key: value.detach().clone() for key, value in built.state_dict().items()}
    trained = {key: weights[key].requires_grad_() for key, _ in built.named_parameters()}
    taus = PowerLaw(0.8, 0.5).values(blocks)
    owners = [key for key in weights if key.endswith("scale.tau")]
    if owners:
        taus = [weights[key] for key in owners] if learn == "block" else [weights[owners[0]]] * sum(blocks)
    expected = preactivation_resnet(weights, x, blocks, taus, norm, train, kernels)
    logits = built(x)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)

    gradients = torch.autograd.grad(F.cross_entropy(expected, target), list(trained.values()))
    F.cross_entropy(logits, target).backward()
    for (key, parameter), gradient in zip(built.named_parameters(), gradients, strict=True):
        divisor = sum(blocks) if learn == "shared" and key == owners[0] else 1
        torch.testing.assert_close(
            parameter.grad, gradient / divisor, rtol=0, atol=1e-10, msg=lambda text, key=key: f"{key}: {text}"
        )


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_without_its_branches_a_chain_keeps_every_value(norm):
    """Negative ones too, which a ReLU after the sum would remove: pixels are dropped and channels added, no more."""
    built = net("cifar", norm, scale=0.0)
    x = images("cifar")
    stem = built.stem(x)
    last = built.stages(stem)
    assert (stem < 0).any()
    assert torch.equal(last[:, :16], stem[:, :, ::4, ::4])
    assert not last[:, 16:].any()
    assert not torch.equal(net("cifar", norm, residual="post_activation", scale=0.0).stages(stem)[:, :16], last[:, :16])


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_it_has_the_convolutions_of_the_other(name, norm):
    """And as many scalar biases; without the normalisations of stem and shortcuts, with a last one."""
    pre, post = (
        [tuple(p.shape) for p in net(name, norm, residual=residual).parameters() if p.ndim != 1]
        for residual in ("pre_activation", "post_activation")
    )
    assert sorted(pre) == sorted(post)


@pytest.mark.parametrize("segments", [2, 5])
def test_segments_are_the_plain_computation(segments):
    found = []
    for asked in (None, segments):
        torch.manual_seed(1)
        tau = PowerLaw(1.0, 0.5, learn="shared")
        shape = {"in_channels": 3, "image_size": 8, "classes": 10}
        built = CifarResNet(20, "batch", tau, **shape, checkpoint_segments=asked, residual="pre_activation")
        built(torch.randn(4, 3, 8, 8)).square().sum().backward()
        found.append([p.grad for p in built.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
