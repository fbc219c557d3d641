"""The solvers: measured orders, torchdiffeq's steps, exact counts, two ways to a gradient, steps that underflow."""

import math

import pytest
import torch
from oracles import fixed_steps
from torch import nn
from torchdiffeq import odeint

from taunode import build
from taunode.errors import BadInput
from taunode.models.solver import THEIRS, AdaptiveSolver, FixedSolver, Solver, StepUnderflow, TableauSolver

EVALUATIONS = {"euler": 1, "midpoint": 2, "heun": 2, "ralston": 2, "heun3": 3, "rk4": 4, "rk4_classical": 4}
ORDERS = {"euler": 1, "midpoint": 2, "heun": 2, "ralston": 2, "heun3": 3, "rk4": 4, "rk4_classical": 4}
ADAPTIVE = ["dopri5", "bosh3", "adaptive_heun"]
RALSTON = TableauSolver([[], [2 / 3]], [1 / 4, 3 / 4])


class Smooth(nn.Module):
    """dz/dt = tanh((A + tB)z), and a record of the times it was asked at."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.a = nn.Parameter(torch.randn(4, 4, dtype=torch.float64, generator=generator))
        self.b = nn.Parameter(torch.randn(4, 4, dtype=torch.float64, generator=generator))
        self.times = []

    def forward(self, t, z):
        self.times.append(torch.as_tensor(t).item())
        return torch.tanh(z @ (self.a + t * self.b).T)


class Plain(nn.Module):
    """dz/dt = f(z), which counts its evaluations."""

    def __init__(self, f):
        super().__init__()
        self.f, self.count = f, 0

    def forward(self, t, z):
        self.count += 1
        return self.f(z)


def start():
    return torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)


def fixed(method, adjoint=False):
    return FixedSolver(method=method, adjoint=adjoint)


def adaptive(method="dopri5", tolerance=1e-6, adjoint=False):
    return AdaptiveSolver(method=method, rtol=tolerance, atol=tolerance, adjoint=adjoint)


@pytest.fixture(scope="module")
def reference():
    with torch.no_grad():
        return fixed("rk4").solve(Smooth(), start(), 1600)


@pytest.mark.parametrize("method", ORDERS)
def test_measured_order(method, reference):
    """Of the error against the number of steps, where the first term of its expansion rules and rounding does not."""
    coarse = {1: 2000, 2: 400, 3: 200, 4: 100}[ORDERS[method]]
    with torch.no_grad():
        errors = [(fixed(method).solve(Smooth(), start(), n) - reference).norm().item() for n in (coarse, 2 * coarse)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(ORDERS[method], abs=0.05)


@pytest.mark.parametrize("steps", [1, 5, 61])
@pytest.mark.parametrize("method", THEIRS)
def test_steps_are_torchdiffeqs_where_it_has_the_method(method, steps):
    times = torch.arange(steps + 1, dtype=torch.float64) / steps
    options = {"grid_constructor": lambda *_: times}
    found = []
    for solve in (
        lambda field, z: fixed(method).solve(field, z, steps),
        lambda field, z: odeint(field, z, times[[0, -1]], method=THEIRS[method], options=options)[-1],
    ):
        field, z = Smooth(), start().requires_grad_()
        out = solve(field, z)
        out.square().sum().backward()
        found.append([out, z.grad, field.a.grad, field.b.grad])
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).abs().max() <= 1e-12 * theirs.abs().max()


@pytest.mark.parametrize("steps", [1, 5, 61])
@pytest.mark.parametrize("method", EVALUATIONS)
def test_steps_are_the_oracles(method, steps):
    field = Smooth()
    with torch.no_grad():
        ours = fixed(method).solve(field, start(), steps)
        theirs = fixed_steps(field, start(), steps, method)
    assert (ours - theirs).abs().max() <= 1e-12


@pytest.mark.parametrize("method", EVALUATIONS)
def test_evaluations_are_exact_for_every_count_of_steps(method):
    with torch.no_grad():
        for steps in range(1, 131):
            field = Plain(torch.neg)
            fixed(method).solve(field, torch.ones(1), steps)
            assert field.count == fixed(method).evaluations(steps) == steps * EVALUATIONS[method], steps


def test_a_tableau_of_ones_own_is_the_method_it_says():
    with torch.no_grad():
        ours, theirs = (solver.solve(Smooth(), start(), 7) for solver in (RALSTON, fixed("ralston")))
    assert torch.equal(ours, theirs)
    assert RALSTON.evaluations(7) == 14


def completed(**values):
    node = {"_target_": "taunode.models.solver.TableauSolver", **values}
    return build.complete({"arch": {}, "solver": node})["solver"]


@pytest.mark.parametrize("values", [{"c": [0, "2/3"]}, {"c": [0.0, 2 / 3]}, {"c": None}, {}])
def test_ways_to_write_a_tableau_are_one_configuration(values):
    config = completed(a=[[], ["2/3"]], b=["1/4", 0.75], **values)
    assert {key: value for key, value in config.items() if key != "_target_"} == {"a": [[], [2 / 3]], "b": [0.25, 0.75]}
    built = build.instantiate(config, "solver")
    assert isinstance(built, Solver)
    assert built.tableau == RALSTON.tableau


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"b": [0.5, 0.25]}, "solver.b must add up to 1, got 0.75: no such method converges"),
        ({"c": [0, 0.5]}, "solver.c[1] must be the sum of its row of a, 0.666666666667, got 0.5"),
        ({"c": [0]}, "solver.c must have a time for each of the 2 stages, got 1"),
        (
            {"a": [["2/3"]]},
            "solver.a must have a row for each of the 2 weights in solver.b, of 0, 1, 2, … numbers, got rows of 1",
        ),
        (
            {"a": [[], [0, 1]]},
            "solver.a must have a row for each of the 2 weights in solver.b, of 0, 1, 2, … numbers, got rows of 0, 2",
        ),
        ({"a": [[], [float("inf")]]}, "solver.a and solver.b must be finite numbers"),
        ({"a": [[], ["2/x"]]}, "solver.a[1][0] must be a number or a fraction such as 1/3, got '2/x'"),
        ({"b": ["1/0", 1]}, "solver.b[0] must be a number or a fraction such as 1/3, got '1/0'"),
        ({"b": 1.0}, "solver.b must be a list, got 1.0"),
        ({"b": [True, 0.0]}, "solver.b[0] must be a number, got True"),
        ({"b": None}, "solver.b must be a list, got None"),
        ({"adjoint": True}, "unknown key solver.adjoint; valid: a, b, c"),
    ],
)
def test_a_tableau_that_cannot_be_is_named(values, message):
    with pytest.raises(BadInput) as error:
        build.instantiate(completed(**{"a": [[], ["2/3"]], "b": [0.25, 0.75]} | values), "solver")
    assert str(error.value) == message


@pytest.mark.parametrize("method", sorted(EVALUATIONS.keys() - THEIRS.keys()))
def test_an_adjoint_that_torchdiffeq_has_not_is_refused(method):
    with pytest.raises(BadInput, match=rf"euler, midpoint, heun, heun3, rk4, not by {method}$"):
        fixed(method, adjoint=True)


@pytest.mark.parametrize("method", THEIRS)
@pytest.mark.parametrize("steps", [1, 5, 109])
def test_steps_are_on_the_grid_forwards_and_backwards(method, steps):
    thirds = [0, 1 / 3, 2 / 3]
    offsets = {"euler": [0], "midpoint": [0, 1 / 2], "heun": [0, 1], "heun3": thirds, "rk4": [*thirds, 1]}[method]
    expected = [(k + offset) / steps for k in range(steps) for offset in offsets]
    field = Smooth()
    out = fixed(method, adjoint=True).solve(field, start(), steps)
    assert field.times == pytest.approx(expected, abs=1e-14)
    field.times.clear()
    out.sum().backward()
    assert field.times == pytest.approx([1 - t for t in expected], abs=1e-14)


def gradients(solver, steps):
    field, z = Smooth(), start().requires_grad_()
    out = solver.solve(field, z, steps)
    out.square().sum().backward()
    return out, [z.grad, field.a.grad, field.b.grad]


@pytest.mark.parametrize(
    ("one", "other", "tolerance"),
    [(fixed("rk4", adjoint=True), fixed("rk4"), 1e-4), (adaptive(tolerance=1e-9, adjoint=True), fixed("rk4"), 1e-4)],
)
def test_the_adjoint_gives_the_gradients_of_backpropagation(one, other, tolerance):
    (first, ours), (second, theirs) = gradients(one, 40), gradients(other, 40)
    assert (first - second).norm() <= tolerance * second.norm()
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).norm() <= tolerance * b.norm()


def test_adaptive_and_fixed_steps_agree():
    with torch.no_grad():
        ours = adaptive("dopri5", 1e-9).solve(Smooth(), start(), 5)
        theirs = fixed("rk4").solve(Smooth(), start(), 200)
    assert (ours - theirs).abs().max() <= 1e-6


@pytest.mark.parametrize("method", ADAPTIVE)
def test_tighter_tolerances_cost_evaluations_and_pay_off(method, reference):
    counts, errors = [], []
    for tolerance in (1e-2, 1e-4, 1e-6):
        field = Smooth()
        with torch.no_grad():
            errors.append((adaptive(method, tolerance).solve(field, start(), 4) - reference).abs().max())
        counts.append(len(field.times))
        assert 0 <= min(field.times) <= max(field.times) <= 1  # never beyond the end
        assert errors[-1] <= 10 * tolerance
    assert counts == sorted(set(counts))
    assert errors == sorted(errors, reverse=True)


def saved_bytes(solver, steps):
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.nbytes) or x, lambda x: x):
        solver.solve(Smooth(), start().requires_grad_(), steps)
    return sum(kept)


def test_the_adjoints_memory_does_not_grow_with_the_steps():
    assert saved_bytes(fixed("rk4", adjoint=True), 5) == saved_bytes(fixed("rk4", adjoint=True), 50)
    assert saved_bytes(fixed("rk4"), 50) > 5 * saved_bytes(fixed("rk4"), 5)


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_field_of_zeros_moves_nothing_and_has_a_gradient(method, adjoint):
    """A flow starts as the identity; its first gradient must be a number."""
    field, z = Smooth(), start().requires_grad_()
    with torch.no_grad():
        field.a.zero_()
        field.b.zero_()
    out = adaptive(method, adjoint=adjoint).solve(field, z, 5)
    torch.testing.assert_close(out, z, rtol=0, atol=1e-14)
    out.sum().backward()
    assert all(x.grad.isfinite().all() and x.grad.any() for x in (field.a, z))


@pytest.mark.parametrize(("method", "tolerance"), [("dopri5", 1e-6), ("bosh3", 1e-4), ("adaptive_heun", 1e-3)])
@pytest.mark.parametrize("adjoint", [False, True])
def test_a_step_that_underflows_says_how_far_it_came(method, tolerance, adjoint):
    """dz/dt = z², z(0) = 2 is infinite at t = 1/2."""
    solver = adaptive(method, tolerance, adjoint=adjoint)
    with pytest.raises(StepUnderflow, match=r"underflows at t = 0\.5") as caught:
        solver.solve(Plain(torch.square), torch.full((1,), 2.0, dtype=torch.float64), 10)
    assert caught.value.time == pytest.approx(0.5, abs=1e-2)


def test_a_state_that_is_not_finite_cannot_step():
    with pytest.raises(StepUnderflow) as caught:
        adaptive().solve(Smooth(), start() * math.inf, 10)
    assert caught.value.time == 0


def test_a_gradient_that_is_not_finite_cannot_step_back():
    out = adaptive(adjoint=True).solve(Smooth(), start().requires_grad_(), 10)
    with pytest.raises(StepUnderflow) as caught:
        (out.sum() * math.inf).backward()
    assert caught.value.time == 1


@pytest.mark.parametrize(("rtol", "atol", "key"), [(0.0, 1e-3, "rtol"), (1e-3, -1.0, "atol"), (math.inf, 1e-3, "rtol")])
def test_tolerances_that_are_not_positive_are_refused(rtol, atol, key):
    with pytest.raises(BadInput, match=rf"^solver\.{key} must be a finite number > 0, got "):
        AdaptiveSolver(method="dopri5", rtol=rtol, atol=atol, adjoint=False)
