"""The one block: activation(shortcut(x) + scale(branch(x)))."""

import pytest
import torch
from torch import nn

from taunode.models.block import ResidualBlock
from taunode.models.scale import BorrowedScale, FixedScale, LearnedScale

LEARNED = LearnedScale(torch.tensor(0.3), lr_factor=0.1)


@pytest.mark.parametrize("scale", [FixedScale(0.3), LEARNED, BorrowedScale(LEARNED)])
def test_is_its_formula(scale):
    branch, shortcut = nn.Linear(3, 4), nn.Linear(3, 4)
    x = torch.randn(5, 3)
    before = x.clone()
    block = ResidualBlock(branch, shortcut, scale, nn.ReLU(inplace=True))
    torch.testing.assert_close(block(x), torch.relu(shortcut(x) + 0.3 * branch(x)))
    if scale is not LEARNED and not isinstance(scale, FixedScale):
        torch.testing.assert_close(block(x, torch.tensor(0.7)), torch.relu(shortcut(x) + 0.7 * branch(x)))
    assert torch.equal(x, before)


def test_euler_steps_are_blocks_with_tau_one_over_layers():
    layers, branch = 7, nn.Linear(3, 3).double()
    net = nn.Sequential(
        *(ResidualBlock(branch, nn.Identity(), FixedScale(1 / layers), nn.Identity()) for _ in range(layers))
    )
    z = x = torch.randn(2, 3, dtype=torch.float64)
    for _ in range(layers):
        z = z + branch(z) / layers
    torch.testing.assert_close(net(x), z, rtol=1e-14, atol=1e-14)
