"""Slow, literal transcriptions of the papers' equations: state dict in, logits out.

Nothing here shares a line with the package except the names in its state dicts.
"""

from collections.abc import Callable, Mapping, Sequence

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


def imagenet_resnet(
    weights: Mapping[str, Tensor],
    images: Tensor,
    blocks: Sequence[int],
    taus: Sequence[Tensor],
    norm: str,
    train: bool,
) -> Tensor:
    """Logits of the bottleneck τ-ResNet with `blocks[s]` blocks in stage s (arXiv 1903.07120), τ `taus[l]` in block l.

    h_0 = maxpool(ReLU(BN(conv7×7(x)))), h_l = ReLU(shortcut(h_{l−1}) + τ_l·F_l(h_{l−1})), logits = W·mean(h_L) + b,
    where F = BN∘conv1×1∘ReLU∘BN∘conv3×3∘ReLU∘BN∘conv1×1, or without normalisation
    conv3(ReLU(conv2(ReLU(conv1(x + b1a) + b1b) + b2a) + b2b) + b3a) + b3b, with the stride in the 3×3 convolution;
    the shortcut is BN∘conv1×1 in the first block of a stage.
    """
    h = F.conv2d(images, weights["stem.conv.weight"], stride=2, padding=3)
    if norm == "batch":
        h = batch_norm(weights, "stem.norm", h, train)
    h = torch.maximum(h, torch.zeros_like(h))
    h = F.max_pool2d(h, kernel_size=3, stride=2, padding=1)
    block = 0
    for stage, count in enumerate(blocks):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            name = f"stages.{stage}.{index}"

            shortcut = h
            if index == 0:
                shortcut = F.conv2d(h, weights[f"{name}.shortcut.conv.weight"], stride=stride)
                if norm == "batch":
                    shortcut = batch_norm(weights, f"{name}.shortcut.norm", shortcut, train)

            z = h
            for conv, step, padding in (("conv1", 1, 0), ("conv2", stride, 1), ("conv3", 1, 0)):
                part = f"{name}.branch.{conv}"
                if norm == "none":
                    z = z + weights[f"{part}.before.bias"]
                z = F.conv2d(z, weights[f"{part}.conv.weight"], stride=step, padding=padding)
                if norm == "none":
                    z = z + weights[f"{part}.after.bias"]
                else:
                    z = batch_norm(weights, f"{part}.norm", z, train)
                if conv != "conv3":
                    z = torch.maximum(z, torch.zeros_like(z))

            h = shortcut + taus[block] * z
            h = torch.maximum(h, torch.zeros_like(h))
            block += 1
    return h.mean((2, 3)) @ weights["head.weight"].T + weights["head.bias"]


def preactivation_resnet(
    weights: Mapping[str, Tensor],
    images: Tensor,
    blocks: Sequence[int],
    taus: Sequence[Tensor],
    norm: str,
    train: bool,
    kernels: Sequence[int],
) -> Tensor:
    """Logits of the τ-ResNet with an identity skip path (arXiv 1603.05027), `kernels` being (3, 3) or (1, 3, 1).

    h_0 = conv(x), h_l = shortcut(h_{l−1}) + τ_l·F_l(h_{l−1}), logits = W·mean(ReLU(BN(h_L))) + b, where F is one
    conv∘ReLU∘BN a kernel, or without normalisation conv(ReLU(·) + before) + after. CIFAR: between stages the shortcut
    keeps every second pixel and adds zero channels; ImageNet: 7×7 convolution and maxpool before, conv1×1 as shortcut.
    """
    basic = len(kernels) == 2
    h = F.conv2d(images, weights["stem.conv.weight"], stride=1 if basic else 2, padding=1 if basic else 3)
    if not basic:
        h = F.max_pool2d(h, kernel_size=3, stride=2, padding=1)
    tau = iter(taus)
    for stage, count in enumerate(blocks):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            name = f"stages.{stage}.{index}"
            shortcut = h
            if basic and stride == 2:
                shortcut = torch.cat([h[:, :, ::2, ::2], torch.zeros_like(h[:, :, ::2, ::2])], dim=1)
            elif not basic and index == 0:
                shortcut = F.conv2d(h, weights[f"{name}.shortcut.conv.weight"], stride=stride)
            z = h
            for number, kernel in enumerate(kernels, start=1):
                part = f"{name}.branch.conv{number}"
                step = stride if number == (1 if basic else 2) else 1
                if norm == "batch":
                    z = batch_norm(weights, f"{part}.norm", z, train)
                z = torch.maximum(z, torch.zeros_like(z))
                if norm == "batch":
                    z = F.conv2d(z, weights[f"{part}.conv.weight"], stride=step, padding=kernel // 2)
                else:
                    z = z + weights[f"{part}.conv.before.bias"]
                    z = F.conv2d(z, weights[f"{part}.conv.conv.weight"], stride=step, padding=kernel // 2)
                    z = z + weights[f"{part}.conv.after.bias"]
            h = shortcut + next(tau) * z
    if norm == "batch":
        h = batch_norm(weights, "last.norm", h, train)
    h = torch.maximum(h, torch.zeros_like(h))
    return h.mean((2, 3)) @ weights["head.weight"].T + weights["head.bias"]


def momentum_resnet(
    weights: Mapping[str, Tensor], images: Tensor, n: int, taus: Sequence[float], gamma: float, norm: str, train: bool
) -> Tensor:
    """Logits of the momentum ResNet of depth 6n+2 (arXiv 2102.07870) on blocks with an identity skip path.

    In every stage the first block is h_l = shortcut(h_{l−1}) + τ·F_l(h_{l−1}), v_l = 0 or F_0(h_l); in the others
    v_l = γ·v_{l−1} + (1 − γ)·τ·F_l(h_{l−1}), h_l = h_{l−1} + v_l.
    """

    def branch(name: str, z: Tensor, stride: int = 1) -> Tensor:
        for part, step in ((f"{name}.conv1", stride), (f"{name}.conv2", 1)):
            if norm == "batch":
                z = batch_norm(weights, f"{part}.norm", z, train)
            z = torch.maximum(z, torch.zeros_like(z))
            if norm == "batch":
                z = F.conv2d(z, weights[f"{part}.conv.weight"], stride=step, padding=1)
            else:
                z = z + weights[f"{part}.conv.before.bias"]
                z = F.conv2d(z, weights[f"{part}.conv.conv.weight"], stride=step, padding=1)
                z = z + weights[f"{part}.conv.after.bias"]
        return z

    h = F.conv2d(images, weights["stem.conv.weight"], padding=1)
    v = torch.zeros_like(h)
    for block in range(3 * n):
        stage, index = divmod(block, n)
        name = f"stages.{stage}.{index}"
        f = taus[block] * branch(f"{name}.branch", h, stride=2 if stage > 0 and index == 0 else 1)
        if index > 0:
            v = gamma * v + (1 - gamma) * f
            h = h + v
            continue
        if stage > 0:
            h = torch.cat([h[:, :, ::2, ::2], torch.zeros_like(h[:, :, ::2, ::2])], dim=1)
        h = h + f
        learned = any(key.startswith(f"{name}.velocity") for key in weights)
        v = branch(f"{name}.velocity", h) if learned else torch.zeros_like(h)
    if norm == "batch":
        h = batch_norm(weights, "last.norm", h, train)
    h = torch.maximum(h, torch.zeros_like(h))
    return h.mean((2, 3)) @ weights["head.weight"].T + weights["head.bias"]


def flow_resnet(
    weights: Mapping[str, Tensor], images: Tensor, layers: int, train: bool, taus: Sequence[Tensor | float]
) -> Tensor:
    """Logits of the flow ResNet with `layers` blocks in the third stage (arXiv 2112.05531), RKHS and SHL alike.

    h_0 = ReLU(BN(conv(x))), h_l = shortcut(h_{l−1}) + τ_l·W_l∗ReLU(Ω_l∗h_{l−1}), with a BN before the third stage;
    logits = A·mean(h_L) + b. The shortcut is BN∘conv1×1 where the stride is 2, in the first block of stages 2 to 4.
    """
    h = F.conv2d(images, weights["body.stem.conv.weight"], padding=1)
    h = batch_norm(weights, "body.stem.norm", h, train)
    h = torch.maximum(h, torch.zeros_like(h))
    tau = iter(taus)
    for stage, count in ((1, 2), (2, 2), (3, layers), (4, 2)):
        if stage == 3:
            h = batch_norm(weights, "body.norm", h, train)
        for index in range(count):
            stride = 2 if stage > 1 and index == 0 else 1
            name = f"body.stage{stage}.{index}"
            shortcut = h
            if stride == 2:
                shortcut = F.conv2d(h, weights[f"{name}.shortcut.conv.weight"], stride=2)
                shortcut = batch_norm(weights, f"{name}.shortcut.norm", shortcut, train)
            z = F.conv2d(h, weights[f"{name}.branch.features.weight"], stride=stride, padding=1)
            z = torch.maximum(z, torch.zeros_like(z))
            z = F.conv2d(z, weights[f"{name}.branch.output.weight"], padding=1)
            h = shortcut + next(tau) * z
    return h.mean((2, 3)) @ weights["head.weight"].T + weights["head.bias"]


def rkhs_field(weights: Mapping[str, Tensor], layers: int, original: bool, t: float, z: Tensor) -> Tensor:
    """v(t, z) = W(t)∗ReLU(Ω∗z) (arXiv 2112.05531), as (1 − s)·(W_k∗h) + s·(W_{k+1}∗h) with s = tN − k.

    k = floor(tN), the last interval at t = 1; or int(tN − 1) as the paper's own code looks it up.
    """
    k = int(t * layers - 1 + 1e-9) if original else min(int(t * layers + 1e-9), layers - 1)
    s = t * layers - k
    h = F.conv2d(z, weights["field.omega"], padding=1)
    h = torch.maximum(h, torch.zeros_like(h))
    first = F.conv2d(h, weights[f"field.w.{k}"], padding=1)
    second = F.conv2d(h, weights[f"field.w.{k + 1}"], padding=1)
    return (1 - s) * first + s * second


def shl_field(weights: Mapping[str, Tensor], layers: int, t: float, z: Tensor) -> Tensor:
    """v(t, z) = (1 − s)·W_k∗ReLU(Ω_k∗z) + s·W_{k+1}∗ReLU(Ω_{k+1}∗z), k = floor(tN), s = tN − k (arXiv 2112.05531)."""
    k = min(int(t * layers + 1e-9), layers - 1)
    s = t * layers - k
    outputs = []
    for knot in (k, k + 1):
        h = F.conv2d(z, weights[f"field.omega.{knot}"], padding=1)
        h = torch.maximum(h, torch.zeros_like(h))
        outputs.append(F.conv2d(h, weights[f"field.w.{knot}"], padding=1))
    return (1 - s) * outputs[0] + s * outputs[1]


def fixed_steps(field: Callable[[float, Tensor], Tensor], z: Tensor, layers: int, method: str) -> Tensor:
    """z(1) by `layers` steps of Euler, midpoint, Heun, Ralston (1962), Heun's third order, and Kutta's two of 1901."""
    h = 1 / layers
    for step in range(layers):
        t = step / layers
        if method == "euler":
            z = z + h * field(t, z)
        elif method == "midpoint":
            z = z + h * field(t + h / 2, z + h / 2 * field(t, z))
        elif method == "heun":
            k1 = field(t, z)
            z = z + h / 2 * (k1 + field(t + h, z + h * k1))
        elif method == "ralston":
            k1 = field(t, z)
            z = z + h / 4 * (k1 + 3 * field(t + 2 * h / 3, z + 2 * h / 3 * k1))
        elif method == "heun3":
            k1 = field(t, z)
            k2 = field(t + h / 3, z + h / 3 * k1)
            z = z + h / 4 * (k1 + 3 * field(t + 2 * h / 3, z + 2 * h / 3 * k2))
        elif method == "rk4_classical":
            k1 = field(t, z)
            k2 = field(t + h / 2, z + h / 2 * k1)
            k3 = field(t + h / 2, z + h / 2 * k2)
            k4 = field(t + h, z + h * k3)
            z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        else:
            k1 = field(t, z)
            k2 = field(t + h / 3, z + h * k1 / 3)
            k3 = field(t + 2 * h / 3, z + h * (-k1 / 3 + k2))
            k4 = field(t + h, z + h * (k1 - k2 + k3))
            z = z + h * (k1 + 3 * k2 + 3 * k3 + k4) / 8
    return z


def ode_net(
    weights: Mapping[str, Tensor], images: Tensor, field: Callable[[float, Tensor], Tensor], layers: int, method: str
) -> Tensor:
    """logits = B(z(1)), z(0) = A(x), dz/dt = v(t, z) for images of 28 or 32 pixels (arXiv 2112.05531, section 5.1).

    A = Conv(4, stride 2) BN ReLU Conv(4, stride 2) BN and B = BN Flatten Linear, all with their running statistics.
    """
    z = F.conv2d(images, weights["embedding.input.0.weight"], weights["embedding.input.0.bias"], stride=2)
    z = batch_norm(weights, "embedding.input.1", z, train=False)
    z = torch.maximum(z, torch.zeros_like(z))
    z = F.conv2d(z, weights["embedding.input.3.weight"], weights["embedding.input.3.bias"], stride=2)
    z = batch_norm(weights, "embedding.input.4", z, train=False)
    z = fixed_steps(field, z, layers, method)
    z = batch_norm(weights, "embedding.output.0", z, train=False)
    return z.flatten(1) @ weights["embedding.output.2.weight"].T + weights["embedding.output.2.bias"]
