"""Activation checkpointing: everything is as without it, bit for bit, but for memory."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taunode.errors import BadInput
from taunode.models.checkpointing import run_in_segments, segment_bounds
from taunode.models.imagenet import ImageNetResNet
from taunode.models.resnet import CifarResNet
from taunode.models.tau import PowerLaw
from taunode.models.tau_resnet import TauResNet


def net(depth=20, norm="batch", learn="none", segments=None, kind=CifarResNet, image_size=8) -> TauResNet:
    tau = PowerLaw(1.0, 0.5, learn=learn)
    return kind(
        depth=depth,
        norm=norm,
        tau=tau,
        in_channels=3,
        image_size=image_size,
        classes=10,
        checkpoint_segments=segments,
    )


def pair(segments: int, **values) -> tuple[TauResNet, TauResNet]:
    """The same network twice, without and with checkpointing."""
    plain = net(**values)
    checkpointed = copy.deepcopy(plain)
    checkpointed.bounds = net(segments=segments, **values).bounds
    return plain, checkpointed


def gradients(built: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    built.zero_grad()
    F.cross_entropy(built(images).float(), labels).backward()
    return [parameter.grad.clone() for parameter in built.parameters()]


def assert_same_state(first: nn.Module, second: nn.Module) -> None:
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    ("norm", "learn"), [("batch", "none"), ("batch", "shared"), ("none", "shared"), ("none", "block")]
)
@pytest.mark.parametrize("segments", [1, 2, 4, 9])
def test_gradients_and_running_statistics_are_the_plain_ones_bit_for_bit(segments, norm, learn, train):
    networks = pair(segments, norm=norm, learn=learn)
    found = []
    for built in networks:
        built.train(train)
        generator = torch.Generator().manual_seed(1)
        for _ in range(3):  # running statistics of three batches
            images = torch.randn(5, 3, 8, 8, generator=generator)
            found.append(gradients(built, images, torch.randint(10, (5,), generator=generator)))
    for plain, checkpointed in zip(found[:3], found[3:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(plain, checkpointed, strict=True))
    assert_same_state(*networks)
    if norm == "batch" and train:
        assert networks[1].stages[0][0].branch.conv1.norm.num_batches_tracked == 3


def test_training_is_the_plain_one_bit_for_bit():
    networks = pair(3, norm="none", learn="shared")
    for built in networks:
        generator = torch.Generator().manual_seed(1)
        optimizer = torch.optim.SGD([{**group, "lr": 0.05} for group in built.parameter_groups()], momentum=0.9)
        for _ in range(5):
            images, labels = torch.randn(5, 3, 8, 8, generator=generator), torch.randint(10, (5,), generator=generator)
            gradients(built, images, labels)
            optimizer.step()
    assert networks[0].learned_tau() != pytest.approx(1 / 3, abs=1e-6)
    assert_same_state(*networks)


def test_the_imagenet_net_is_the_plain_one_bit_for_bit():
    images, labels = torch.randn(4, 3, 32, 32), torch.randint(10, (4,))
    networks = pair(5, depth=50, learn="shared", kind=ImageNetResNet, image_size=32)
    plain, checkpointed = (gradients(built, images, labels) for built in networks)
    assert all(torch.equal(a, b) for a, b in zip(plain, checkpointed, strict=True))
    assert_same_state(*networks)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_under_autocast_too(norm):
    images, labels = torch.randn(4, 3, 8, 8), torch.randint(10, (4,))
    networks = pair(4, norm=norm, learn="shared")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = [built(images) for built in networks]
    assert outputs[0].dtype == torch.bfloat16
    found = []
    for built, output in zip(networks, outputs, strict=True):
        F.cross_entropy(output.float(), labels).backward()
        found.append([parameter.grad for parameter in built.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert_same_state(*networks)


def test_compiled_too():
    images, labels = torch.randn(4, 3, 8, 8), torch.randint(10, (4,))
    networks = pair(4, learn="shared")
    plain, checkpointed = (gradients(torch.compile(built, backend="aot_eager"), images, labels) for built in networks)
    for a, b in zip(plain, checkpointed, strict=True):
        torch.testing.assert_close(a, b)
    assert_same_state(*networks)


def test_an_infinite_variance_leaves_the_statistics_as_they_are_without():
    images = torch.full((4, 3, 8, 8), 1e25) * torch.randn(4, 1, 1, 1)
    networks = pair(3)
    for built in networks:
        built(images).sum().backward()
    for (name, a), b in zip(networks[0].state_dict().items(), networks[1].state_dict().values(), strict=True):
        assert torch.equal(a.nan_to_num(nan=7.0), b.nan_to_num(nan=7.0)), name
    assert networks[0].stem.norm.running_var.isinf().any()


def test_backward_twice_counts_a_batch_once():
    built = net(segments=3)
    loss = built(torch.randn(4, 3, 8, 8)).square().sum()
    statistics = {name: value.clone() for name, value in built.named_buffers()}
    loss.backward(retain_graph=True)
    loss.backward()
    assert all(torch.equal(value, statistics[name]) for name, value in built.named_buffers())


class Counted(nn.Module):
    """Counts how often it is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        self.times += 1
        return torch.relu(self.conv(x))


@pytest.mark.parametrize("bounds", [[0, 10], [0, 3, 6, 10], [0, 1, 10], list(range(11))])
def test_all_segments_but_the_last_are_computed_twice(bounds):
    blocks = [Counted() for _ in range(10)]
    x = torch.randn(1, 2, 4, 4, requires_grad=True)
    run_in_segments(blocks, bounds, [], x).sum().backward()
    assert [block.times for block in blocks] == [2] * bounds[-2] + [1] * (10 - bounds[-2])


def test_without_gradients_nothing_is_kept():
    blocks = [Counted() for _ in range(4)]
    with torch.no_grad():
        assert not run_in_segments(blocks, [0, 2, 4], [], torch.randn(1, 2, 4, 4)).requires_grad
    assert [block.times for block in blocks] == [1] * 4


def test_what_is_frozen_gets_no_gradient():
    plain, checkpointed = pair(4, learn="shared")
    images = torch.randn(4, 3, 8, 8)
    for built in (plain, checkpointed):
        for module in (built.stem, built.stages[1]):
            module.requires_grad_(False)
        built(images).square().sum().backward()
    for (name, a), b in zip(plain.named_parameters(), checkpointed.parameters(), strict=True):
        assert (a.grad is None and b.grad is None) if not a.requires_grad else torch.equal(a.grad, b.grad), name


class TwoTensors(nn.Module):
    """x' = x + v', v' = v/2 + t·f(x), as a chain of momentum with a shared number t."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(2)

    def forward(self, state: tuple[Tensor, Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
        x, v = state
        v = v / 2 + t * self.norm(self.conv(x)).tanh()
        return x + v, v


class Enters(nn.Module):
    """One tensor to two."""

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return x, torch.zeros_like(x)


class Leaves(nn.Module):
    """Two tensors to one; the velocity is not used."""

    def forward(self, state: tuple[Tensor, Tensor], t: Tensor) -> Tensor:
        return state[0] * t


@pytest.mark.parametrize("way", ["eager", "compiled"])
@pytest.mark.parametrize("bounds", [[0, 3, 8], [0, 1, 2, 5, 7, 8], list(range(9))])
def test_a_chain_may_carry_several_tensors_and_share_others(bounds, way):
    chain = nn.ModuleList([Enters(), *(TwoTensors() for _ in range(6)), Leaves()]).double()
    twin = copy.deepcopy(chain)
    x, t = torch.randn(3, 2, 4, 4, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    found = []
    for blocks, cuts in ((chain, [0, 8]), (twin, bounds)):
        number = t.clone().requires_grad_()

        def run(x: Tensor, number: Tensor, blocks: nn.ModuleList = blocks, cuts: list[int] = cuts) -> Tensor:
            return run_in_segments(list(blocks), cuts, [number.lerp(number * 2, 0.0)], x)

        call = torch.compile(run, backend="aot_eager") if way == "compiled" else run
        start = x.clone().requires_grad_()
        call(start, number).square().sum().backward()
        found.append([start.grad, number.grad, *(p.grad for p in blocks.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0 if way == "eager" else 1e-12)
    assert_same_state(chain, twin)


def test_what_two_blocks_have_in_common_gets_both_gradients():
    conv = nn.Conv2d(2, 2, 3, padding=1)
    blocks = [nn.Sequential(conv, nn.Tanh()) for _ in range(4)]
    x = torch.randn(2, 2, 4, 4)
    found = []
    for bounds in ([0, 4], [0, 2, 4], [0, 1, 2, 3, 4]):
        conv.zero_grad()
        run_in_segments(blocks, bounds, [], x).square().sum().backward()
        found.append(conv.weight.grad.clone())
    for gradient in found[1:]:
        torch.testing.assert_close(gradient, found[0])


def kept_bytes(segments: int | None) -> int:
    """What autograd keeps of a forward pass, counted once a tensor, without the parameters."""
    built = net(56, segments=segments)
    parameters = {p.data_ptr() for p in built.parameters()}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in parameters:
            kept[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = built(torch.randn(4, 3, 8, 8))
    assert logits.requires_grad
    return sum(tensor.nbytes for tensor in kept.values())


def test_less_is_kept_the_more_segments():
    kept = [kept_bytes(segments) for segments in (None, 3, 9)]
    assert kept[1] < kept[0] / 2
    assert kept[2] < kept[1]


@pytest.mark.parametrize(
    ("asked", "stages", "bounds"),
    [
        (None, [200, 200, 200], [0, 600]),
        ("auto", [66, 66, 68], [0, 200]),
        (1, [3, 3, 3], [0, 9]),
        (9, [9], list(range(10))),
        (7, [4, 4, 4], [0, 1, 2, 3, 4, 6, 8, 12]),
        (2, [100], [0, 50, 100]),
    ],
)
def test_segments_keep_the_same(asked, stages, bounds):
    assert segment_bounds(asked, stages) == bounds


def test_only_the_deepest_network_of_the_papers_saves_memory_by_itself():
    with torch.device("meta"):
        counts = {depth: len(net(depth, segments="auto").bounds) - 1 for depth in (20, 110, 1202)}
        wide = [net(depth, segments="auto", kind=ImageNetResNet, image_size=32) for depth in (50, 152)]
    assert counts == {20: 1, 110: 1, 1202: 24}
    assert [len(built.bounds) for built in wide] == [2, 2]


@pytest.mark.parametrize("asked", [0, -1, 10])
def test_a_number_out_of_range_is_named(asked):
    with pytest.raises(BadInput) as error:
        net(20, segments=asked)
    assert str(error.value) == (
        f"arch.checkpoint_segments must be auto, null or from 1 to 9, the number of blocks, got {asked}"
    )
