"""Slow, literal transcriptions of the papers' equations: state dict in, logits out.

Nothing here shares a line with the package except the names in its state dicts.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def batch_norm(weights: Mapping[str, Tensor], name: str, x: Tensor, train: bool) -> Tensor:
    """γ·(x − μ)/√(σ² + ε) + β, with μ and σ² (biased) over batch, height and width, or the running ones."""
    if train:
        mean = x.mean((0, 2, 3))
        variance = ((x - mean[:, None, None]) ** 2).mean((0, 2, 3))
    else:
        mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    normal = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + 1e-5)
    return weights[f"{name}.weight"][:, None, None] * normal + weights[f"{name}.bias"][:, None, None]


def cifar_resnet(
    weights: Mapping[str, Tensor], images: Tensor, n: int, taus: Sequence[Tensor], norm: str, train: bool
) -> Tensor:
    """Logits of the τ-ResNet of depth 6n+2 (arXiv 1903.07120), with τ `taus[l]` in block l.

    h_0 = ReLU(BN(conv(x))), h_l = ReLU(shortcut(h_{l−1}) + τ_l·F_l(h_{l−1})), logits = W·mean(h_3n) + b, where
    F = BN∘conv2∘ReLU∘BN∘conv1, or without normalisation conv2(ReLU(conv1(x + b1a) + b1b) + b2a) + b2b.
    """
    h = F.conv2d(images, weights["stem.conv.weight"], padding=1)
    if norm == "batch":
        h = batch_norm(weights, "stem.norm", h, train)
    h = torch.maximum(h, torch.zeros_like(h))
    for block in range(3 * n):
        stage, index = divmod(block, n)
        stride = 2 if stage > 0 and index == 0 else 1
        name = f"stages.{stage}.{index}"
        first, second = f"{name}.branch.conv1", f"{name}.branch.conv2"

        shortcut = h
        if stride == 2:
            shortcut = F.avg_pool2d(h, kernel_size=1, stride=2)
            if norm == "batch":
                shortcut = batch_norm(weights, f"{name}.shortcut.norm", shortcut, train)
            shortcut = torch.cat([shortcut, torch.zeros_like(shortcut)], dim=1)

        if norm == "batch":
            z = F.conv2d(h, weights[f"{first}.conv.weight"], stride=stride, padding=1)
            z = batch_norm(weights, f"{first}.norm", z, train)
            z = torch.maximum(z, torch.zeros_like(z))
            z = F.conv2d(z, weights[f"{second}.conv.weight"], padding=1)
            z = batch_norm(weights, f"{second}.norm", z, train)
        else:
            z = h + weights[f"{first}.before.bias"]
            z = F.conv2d(z, weights[f"{first}.conv.weight"], stride=stride, padding=1)
            z = z + weights[f"{first}.after.bias"]
            z = torch.maximum(z, torch.zeros_like(z))
            z = z + weights[f"{second}.before.bias"]
            z = F.conv2d(z, weights[f"{second}.conv.weight"], padding=1)
            z = z + weights[f"{second}.after.bias"]

        h = shortcut + taus[block] * z
        h = torch.maximum(h, torch.zeros_like(h))
    return h.mean((2, 3)) @ weights["head.weight"].T + weights["head.bias"]
