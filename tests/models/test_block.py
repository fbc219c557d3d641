"""The one block: activation(shortcut(x) + scale(branch(x)))."""

import torch
from torch import nn

from taunode.models.block import ResidualBlock
from taunode.models.scale import FixedScale


def test_is_its_formula():
    branch, shortcut = nn.Linear(3, 4), nn.Linear(3, 4)
    x = torch.randn(5, 3)
    before = x.clone()
    out = ResidualBlock(branch, shortcut, FixedScale(0.3), nn.ReLU(inplace=True))(x)
    torch.testing.assert_close(out, torch.relu(shortcut(x) + 0.3 * branch(x)))
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
