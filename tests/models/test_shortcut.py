"""The padded shortcut: subsampled pixels, then zero channels."""

import pytest
import torch
import torch.nn.functional as F

from taunode.models.shortcut import PaddedShortcut


@pytest.mark.parametrize("size", [7, 8])
def test_is_the_pooling_of_the_paper_with_zero_channels(size):
    x = torch.randn(2, 3, size, size)
    out = PaddedShortcut(3, 8, 2, "none")(x)
    assert torch.equal(out[:, :3], F.avg_pool2d(x, kernel_size=1, stride=2))
    assert out.shape[1] == 8
    assert not out[:, 3:].any()


def test_normalises_the_channels_of_the_input_only():
    shortcut = PaddedShortcut(3, 8, 2, "batch")
    out = shortcut(5 + 2 * torch.randn(16, 3, 8, 8))
    assert sum(p.numel() for p in shortcut.parameters()) == 6
    torch.testing.assert_close(out[:, :3].mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out[:, :3].var((0, 2, 3), unbiased=False), torch.ones(3), atol=1e-4, rtol=0)
    assert not out[:, 3:].any()


def test_keeps_the_memory_format():
    x = torch.randn(2, 4, 8, 8).contiguous(memory_format=torch.channels_last)
    assert PaddedShortcut(4, 8, 2, "batch")(x).is_contiguous(memory_format=torch.channels_last)
