"""The branch of a basic block: shapes, and what it trains."""

import pytest
import torch

from taunode.models.branch import BasicBranch


@pytest.mark.parametrize(("norm", "extra"), [("batch", 4 * 6), ("none", 4)])
@pytest.mark.parametrize("stride", [1, 2])
def test_two_convolutions_and_their_normalisation(norm, extra, stride):
    branch = BasicBranch(4, 6, stride, norm)
    assert branch(torch.randn(2, 4, 9, 9)).shape == (2, 6, -(-9 // stride), -(-9 // stride))
    assert sum(p.numel() for p in branch.parameters()) == 9 * 4 * 6 + 9 * 6 * 6 + extra


def test_without_normalisation_and_bias_a_branch_is_homogeneous():
    branch = BasicBranch(4, 4, 1, "none").double()
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(branch(3 * x), 3 * branch(x))
