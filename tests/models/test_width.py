"""`arch.width`: numbers of channels, and what is refused."""

import pytest
import torch

from taunode.errors import BadInput
from taunode.models.imagenet import ImageNetResNet
from taunode.models.resnet import CifarResNet
from taunode.models.tau import PowerLaw

SHAPE = {"in_channels": 3, "image_size": 32, "classes": 10}
KINDS = {"cifar": (CifarResNet, 20), "imagenet": (ImageNetResNet, 50)}


def net(name, width=1.0, norm="batch", residual="post_activation"):
    kind, depth = KINDS[name]
    return kind(depth=depth, norm=norm, tau=PowerLaw(1.0, 0.5), width=width, residual=residual, **SHAPE)


@pytest.mark.parametrize("residual", ["post_activation", "pre_activation"])
@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("width", [0.25, 0.5, 1.0, 2, 3.0])
@pytest.mark.parametrize("name", KINDS)
def test_every_number_of_channels_is_multiplied(name, width, norm, residual):
    with torch.device("meta"):
        plain, wide = net(name, 1.0, norm, residual), net(name, width, norm, residual)
    for (key, a), b in zip(plain.state_dict().items(), wide.state_dict().values(), strict=True):
        data = {("stem.conv.weight", 1), ("head.weight", 0), ("head.bias", 0)}  # set by images and classes
        grows = [(key, axis) not in data and axis < 2 for axis in range(a.ndim)]
        assert list(b.shape) == [int(size * width) if grow else size for size, grow in zip(a.shape, grows, strict=True)]


@pytest.mark.parametrize("name", KINDS)
def test_a_width_of_one_is_none(name):
    torch.manual_seed(0)
    first = net(name).state_dict()
    torch.manual_seed(0)
    kind, depth = KINDS[name]
    second = kind(depth=depth, norm="batch", tau=PowerLaw(1.0, 0.5), **SHAPE).state_dict()
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_the_variance_of_the_output_of_a_convolution_does_not_depend_on_the_width():
    """What the fan-out rule keeps from layer to layer, in the middle of a stage."""
    spreads = []
    for width in (1, 4, 8):
        conv = net("cifar", width).stages[1][1].branch.conv1.conv
        x = torch.randn(2, conv.in_channels, 16, 16)
        spreads.append(conv(x)[..., 1:-1, 1:-1].std().item())
    assert spreads == pytest.approx([2**0.5] * 3, rel=0.05)


@pytest.mark.parametrize("width", [0, -1.0, 0.3, float("inf"), float("nan")])
def test_a_width_that_cannot_be_is_named(width):
    with pytest.raises(BadInput) as error:
        net("cifar", width)
    assert str(error.value) == f"arch.width must be above 0 and make 16, 32, 64 channels whole numbers, got {width:g}"
