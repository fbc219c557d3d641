"""The shares of the knots: what every interpolation of lines must meet, and where the paper's code differs."""

import pytest
import torch

from taunode.errors import BadInput
from taunode.models.interpolation import Exact, Original

LAYERS = [1, 2, 3, 5, 20, 61, 109]


def shares(kind, layers, t, dtype=torch.float64):
    return kind(layers).at(torch.tensor(t, dtype=dtype))


@pytest.mark.parametrize("kind", [Exact, Original])
@pytest.mark.parametrize("layers", LAYERS)
def test_a_line_is_reproduced_also_beyond_its_ends(kind, layers):
    for t in torch.linspace(-0.2, 1.2, 141, dtype=torch.float64).tolist():
        found = shares(kind, layers, t)
        assert len(found) in (1, 2)
        assert all(0 <= knot <= layers for knot, _ in found)
        assert sum(share for _, share in found) == pytest.approx(1, abs=1e-12)
        assert sum(share * knot for knot, share in found) == pytest.approx(t * layers, abs=1e-10)


@pytest.mark.parametrize("layers", LAYERS)
def test_exact_takes_the_knots_on_either_side(layers):
    for t in torch.linspace(0, 1, 143, dtype=torch.float64).tolist():
        for knot, share in shares(Exact, layers, t):
            assert 0 <= share <= 1
            assert abs(t * layers - knot) <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", [Exact, Original])
def test_a_knot_is_met_alone_for_every_count(kind, dtype):
    """With no share for a second knot, however the time k/N was rounded."""
    for layers in range(1, 131):
        interpolation = kind(layers)
        for k in range(layers + 1):
            grid = torch.tensor(k / layers, dtype=torch.float64).to(dtype)
            assert interpolation.at(grid) == ((k, 1.0),)
            if 0 < k < layers:  # a step's end, reached by adding
                reached = torch.tensor((k - 1) / layers, dtype=dtype) + torch.tensor(1 / layers, dtype=dtype)
                assert interpolation.at(reached) == ((k, 1.0),)


@pytest.mark.parametrize("layers", LAYERS)
def test_original_extrapolates_at_interior_midpoints(layers):
    assert shares(Original, layers, 0.5 / layers) == shares(Exact, layers, 0.5 / layers)
    for k in range(1, layers):
        (first, before), (second, after) = shares(Original, layers, (k + 0.5) / layers)
        assert (first, second) == (k - 1, k)
        assert (before, after) == (pytest.approx(-0.5), pytest.approx(1.5))


def test_no_layers_are_refused():
    with pytest.raises(BadInput, match=r"arch.layers must be at least 1, got 0"):
        Exact(0)
