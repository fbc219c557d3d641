"""What taunode is compared with: the script that one writes for a paper, in plain PyTorch.

python benchmarks/plain.py rkhs --layers 5 --epochs 2 --data DIR    # one run, and its error

Every image goes through torchvision's transforms on its own, a DataLoader makes batches of them, the ODE nets evaluate
both knots around a time and blend what they give, losses are read after every step, and one run follows another.
Nothing of taunode is imported here.
"""

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset


class Bias(nn.Module):
    """One trained number, added."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class Tau(nn.Module):
    """The factor that the blocks of a network without normalisation share; its gradient is the mean over them."""

    def __init__(self, tau: float, blocks: int) -> None:
        super().__init__()
        self.tau = nn.Parameter(torch.tensor(tau))
        self.tau.register_hook(lambda gradient: gradient / blocks)

    def forward(self, branch: Tensor) -> Tensor:
        return self.tau * branch


def conv(channels_in: int, channels: int, stride: int, norm: bool) -> nn.Sequential:
    """A 3×3 convolution, normalised or between two biases."""
    layer = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(channels)) if norm else nn.Sequential(Bias(), layer, Bias())


class Block(nn.Module):
    """ReLU(shortcut + τ·F): two 3×3 convolutions, a padded shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int, norm: bool, scale: nn.Module) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(channels_in, channels, stride, norm), conv(channels, channels, 1, norm)
        self.stride, self.missing = stride, channels - channels_in
        self.shortcut = nn.BatchNorm2d(channels_in) if norm and self.missing else nn.Identity()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        branch = self.conv2(F.relu(self.conv1(x)))
        if self.missing:
            x = F.pad(self.shortcut(x[:, :, :: self.stride, :: self.stride]), (0, 0, 0, 0, 0, self.missing))
        return F.relu(x + self.scale(branch))


class ResNet(nn.Module):
    """A CIFAR ResNet of 6n+2 layers, τ = 1 with batch normalisation, else learned from 1/√(3n) on."""

    def __init__(self, depth: int, norm: bool) -> None:
        super().__init__()
        count = (depth - 2) // 6
        scale = nn.Identity() if norm else Tau((3 * count) ** -0.5, 3 * count)
        self.stem = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(16) if norm else nn.Identity()
        blocks, channels_in = [], 16
        for stage, channels in enumerate((16, 32, 64)):
            for place in range(count):
                blocks.append(Block(channels_in, channels, 2 if stage and not place else 1, norm, scale))
                channels_in = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(F.relu(self.norm(self.stem(x)))).mean(dim=(2, 3)))


class Field(nn.Module):
    """v(t, z) with N+1 knots; both knots around t are evaluated and what they give is blended."""

    def __init__(self, layers: int, channels: int, trained_features: bool) -> None:
        super().__init__()
        self.layers = layers
        self.w = nn.ModuleList(nn.Conv2d(channels, channels, 3, 1, 1, bias=False) for _ in range(layers + 1))
        for w in self.w:
            nn.init.zeros_(w.weight)
        count = layers + 1 if trained_features else 1
        self.omega = nn.ModuleList(nn.Conv2d(channels, channels, 3, 1, 1, bias=False) for _ in range(count))
        self.omega.requires_grad_(trained_features)

    def knot(self, k: int, z: Tensor) -> Tensor:
        omega = self.omega[k if len(self.omega) > 1 else 0]
        return self.w[k](F.relu(omega(z)))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        position = t.item() * self.layers
        k = min(int(position + 1e-4), self.layers - 1)  # t is float32
        share = position - k
        return (1 - share) * self.knot(k, z) + share * self.knot(k + 1, z)


class OdeNet(nn.Module):
    """A(x), midpoint steps by torchdiffeq, B(z(1)); A and B are not trained. For 28×28 pixels."""

    def __init__(self, layers: int, channels: int, trained_features: bool) -> None:
        super().__init__()
        self.layers = layers
        self.input = nn.Sequential(
            nn.Conv2d(1, channels, 4, 2),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 4, 2),
            nn.BatchNorm2d(channels),
        )
        self.field = Field(layers, channels, trained_features)
        self.output = nn.Sequential(nn.BatchNorm2d(channels), nn.Flatten(), nn.Linear(25 * channels, 10))
        self.input.requires_grad_(False)
        self.output.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        from torchdiffeq import odeint

        self.input.eval()
        self.output.eval()
        times = torch.tensor([0.0, 1.0], device=x.device)
        states = odeint(self.field, self.input(x), times, method="midpoint", options={"step_size": 1 / self.layers})
        return self.output(states[-1])


def network(name: str, layers: int) -> nn.Module:
    """`rkhs`, `shl`, `resnet` (with batch normalisation) or `resnet_nobn`."""
    if name.startswith("resnet"):
        return ResNet(layers, norm=name == "resnet")
    return OdeNet(layers, 32, trained_features=name == "shl")


def sgd(model: nn.Module, lr: float, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """Biases and τ of a network without normalisation learn at a tenth of the rate."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 0], "lr": lr},
        {"params": [p for p in trained if p.dim() == 0], "lr": 0.1 * lr},
    ]
    return torch.optim.SGD(groups, lr, momentum, weight_decay=weight_decay)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, labels: Tensor, bf16: bool) -> float:
    """One step of SGD, whose loss is read."""
    optimizer.zero_grad()
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=bf16):
        loss = F.cross_entropy(model(inputs), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def steps(name: str, layers: int, inputs: Tensor, labels: Tensor, bf16: bool) -> Iterator[float]:
    """Losses of one step after another on the same batch."""
    torch.manual_seed(0)
    model = network(name, layers).to(inputs.device).train()
    optimizer = sgd(model, 0.01, 0.9, 1e-4) if name.startswith("resnet") else sgd(model, 0.01, 0.0, 0.0)
    for _ in itertools.repeat(None):
        yield step(model, optimizer, inputs, labels, bf16)


def train(name: str, layers: int, epochs: int, data: Path, images: int | None, bf16: bool, seed: int) -> float:
    """MNIST from the beginning, or so many images of it; returns the test error in percent."""
    from torchvision import transforms
    from torchvision.datasets import MNIST

    torch.manual_seed(seed)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    chosen = range(60_000 if images is None else images)
    train_loader = DataLoader(Subset(MNIST(data, train=True, transform=transform), chosen), 256, shuffle=True)
    tests = MNIST(data, train=False, transform=transform)
    test_loader = DataLoader(tests, 256)
    model = network(name, layers)
    optimizer = sgd(model, 0.5, 0.0, 0.0)
    error = 100.0
    for epoch in range(epochs):
        began, total = time.perf_counter(), 0.0
        model.train()
        for inputs, labels in train_loader:
            total += step(model, optimizer, inputs, labels, bf16)
        model.eval()
        wrong = 0
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            for inputs, labels in test_loader:
                wrong += int((model(inputs).argmax(1) != labels).sum())
        error = 100 * wrong / len(tests)
        seconds = time.perf_counter() - began
        print(f"epoch {epoch + 1}: loss {total / len(train_loader):.4f}, test error {error:.2f} %, {seconds:.1f} s")
    return error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=["rkhs", "shl"], nargs="?", default="rkhs")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--data", type=Path, help="where MNIST lies, as torchvision keeps it")
    parser.add_argument("--images", type=int, help="to train with, the first so many; else all")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.data is None:
        print("plain.py: --data DIR says where MNIST lies; nothing is run")
        return
    train(options.network, options.layers, options.epochs, options.data, options.images, options.bf16, options.seed)


if __name__ == "__main__":
    main()
