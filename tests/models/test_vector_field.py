"""The vector fields: which knots they use, how they start, and what is trained."""

import math

import pytest
import torch
from torch import nn

from taunode.errors import BadInput
from taunode.models.interpolation import Exact, Original
from taunode.models.vector_field import RkhsField, ShlField

FIELDS = [RkhsField, ShlField]


def make(kind, layers=5, channels=3, hidden=4, zero_init=False, interpolation=Exact):
    torch.manual_seed(1)
    return kind(interpolation(layers), channels, hidden, zero_init).double()


def at(field, t, z):
    return field(torch.tensor(t, dtype=torch.float64), z)


def state(channels=3):
    return torch.randn(2, channels, 5, 5, dtype=torch.float64)


@pytest.mark.parametrize(("layers", "channels", "hidden"), [(1, 3, 4), (5, 32, 32), (20, 8, 16)])
def test_parameter_counts(layers, channels, hidden):
    one = (layers + 1) * 9 * channels * hidden
    for kind, count in ((RkhsField, one), (ShlField, 2 * one)):
        field = make(kind, layers, channels, hidden)
        assert sum(p.numel() for p in field.parameters() if p.requires_grad) == count
        assert {p.requires_grad for p in field.parameters()} == {True}


def test_random_features_are_kept_and_not_trained():
    field = make(RkhsField)
    assert "omega" in field.state_dict()
    assert "omega" not in dict(field.named_parameters())


@pytest.mark.parametrize("interpolation", [Exact, Original])
@pytest.mark.parametrize("kind", FIELDS)
def test_only_knots_with_a_share_are_touched(kind, interpolation):
    field = make(kind, interpolation=interpolation)
    for t, knots in (
        (0.0, {0}),
        (0.4, {2}),
        (1.0, {5}),
        (0.1, {0, 1}),
        (0.5, {2, 3} if interpolation is Exact else {1, 2}),
    ):
        field.zero_grad()
        at(field, t, state()).sum().backward()
        touched = {int(name.rpartition(".")[2]) for name, p in field.named_parameters() if p.grad is not None}
        assert touched == knots


@pytest.mark.parametrize("interpolation", [Exact, Original])
@pytest.mark.parametrize("kind", FIELDS)
def test_between_knots_the_outputs_are_interpolated(kind, interpolation):
    field, z = make(kind, interpolation=interpolation), state()
    for t in (0.1, 0.47, 0.5, 0.93):
        shares = field.interpolation.at(torch.tensor(t, dtype=torch.float64))
        expected = sum(share * at(field, knot / 5, z) for knot, share in shares)
        torch.testing.assert_close(at(field, t, z), expected, rtol=1e-12, atol=1e-12)


def test_the_rkhs_field_is_linear_in_its_parameters():
    fields, z = [make(RkhsField) for _ in range(3)], state()
    with torch.no_grad():
        for a, b, total in zip(*(field.w for field in fields), strict=True):
            b.normal_()
            total.copy_(2 * a - 3 * b)
    first, second, total = (at(field, 0.33, z) for field in fields)
    torch.testing.assert_close(total, 2 * first - 3 * second, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", FIELDS)
def test_zero_init_is_a_switch_that_leaves_the_features_alone(kind):
    on, off = make(kind, zero_init=True), make(kind, zero_init=False)
    assert not at(on, 0.3, state()).any()
    assert at(off, 0.3, state()).abs().min() > 0
    features = [[value for name, value in f.state_dict().items() if "omega" in name] for f in (on, off)]
    assert all(torch.equal(a, b) for a, b in zip(*features, strict=True))


def test_scales_at_start():
    rkhs = make(RkhsField, layers=20, channels=32, hidden=64)
    assert rkhs.omega.std().item() == pytest.approx(math.sqrt(1 / (3 * 64)), rel=0.02)
    assert torch.stack(list(rkhs.w)).std().item() == pytest.approx(math.sqrt(1 / (9 * 64)), rel=0.01)
    shl = make(ShlField, layers=2, channels=32, hidden=64)
    for weights, channels_in in ((shl.omega, 32), (shl.w, 64)):
        values = torch.stack([w.detach() for w in weights])
        default = torch.stack([nn.Conv2d(channels_in, values.shape[1], 3).weight.detach() for _ in weights])
        for statistic in (torch.std, torch.amax):
            assert statistic(values).item() == pytest.approx(statistic(default).item(), rel=0.02)


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize(("channels", "hidden", "key"), [(0, 4, "channels"), (4, 0, "hidden_channels")])
def test_no_channels_are_refused(kind, channels, hidden, key):
    with pytest.raises(BadInput, match=rf"^arch\.{key} must be at least 1, got 0$"):
        make(kind, channels=channels, hidden=hidden)
