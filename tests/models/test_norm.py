"""A convolution with its normalisation: initial weights, scalar biases, and cost of building."""

import math

import pytest
import torch
import torch.nn.functional as F

from taunode.models.norm import BiasedConv, Conv, branch_conv, norm_layer


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (7, 2)])
def test_weights_are_normal_with_variance_by_the_fan_out(kernel, stride):
    torch.manual_seed(0)
    weight = Conv(50, 60, kernel, stride).weight.double()
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (kernel**2 * 60)), rel=0.05)
    assert abs(weight.mean().item()) < 4 * weight.std().item() / math.sqrt(weight.numel())
    kurtosis = ((weight / weight.std()) ** 4).mean().item()
    assert kurtosis == pytest.approx(3, abs=0.4)  # a uniform distribution has 1.8


def test_the_weights_are_drawn_once():
    torch.manual_seed(0)
    conv = Conv(3, 4, 3)
    torch.manual_seed(0)
    assert torch.equal(conv.weight, torch.empty(4, 3, 3, 3).normal_(std=math.sqrt(2 / 36)))


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_size_is_halved_upwards(norm, stride, size):
    assert branch_conv(norm, 3, 5, 3, stride)(torch.randn(2, 3, size, size)).shape[2:] == (-(-size // stride),) * 2


def test_scalar_biases_are_added_before_and_after():
    conv = BiasedConv(Conv(3, 5, 3, 2)).double()
    assert [p.numel() for p in (conv.before.bias, conv.after.bias)] == [1, 1]
    assert conv.before.bias.item() == conv.after.bias.item() == 0
    with torch.no_grad():
        conv.before.bias.fill_(0.3)
        conv.after.bias.fill_(-0.7)
    x = torch.randn(2, 3, 7, 7, dtype=torch.float64)
    torch.testing.assert_close(conv(x), F.conv2d(x + 0.3, conv.conv.weight, stride=2, padding=1) - 0.7)


def test_without_normalisation_stem_and_shortcut_have_nothing():
    assert not list(norm_layer("none", 5).parameters())
    assert sum(p.numel() for p in norm_layer("batch", 5).parameters()) == 10
