"""ODE nets: their equations, how they start, the step that is a τ, and what they count."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from oracles import ode_net, rkhs_field, shl_field
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from taunode import build
from taunode.errors import BadInput
from taunode.models.block import ResidualBlock
from taunode.models.embedding import Embedding
from taunode.models.ode import RkhsNode, ShlNode
from taunode.models.scale import FixedScale
from taunode.models.solver import AdaptiveSolver, FixedSolver
from taunode.models.tableau import TABLEAUS

CONF = Path(__file__).parents[2] / "conf"
NETS = [RkhsNode, ShlNode]
EVALUATIONS = {"euler": 1, "midpoint": 2, "rk4": 4}
ALL = {**EVALUATIONS, "heun": 2, "ralston": 2, "heun3": 3, "rk4_classical": 4}


def net(kind=RkhsNode, layers=3, *, method="midpoint", adjoint=False, solver=None, image_size=28, **changed):
    given = {"channels": 3, "hidden_channels": 4, "interpolation": "exact", "zero_init": False}
    return kind(
        layers=layers,
        solver=solver or FixedSolver(method=method, adjoint=adjoint),
        embedding=Embedding(passes=0, seed=0, weights=None),
        in_channels=1,
        image_size=image_size,
        classes=10,
        **given | changed,
    )


def images(size=28, batch=4, dtype=torch.float64):
    return torch.rand(batch, 1, size, size, dtype=dtype)


@pytest.mark.parametrize(("layers", "channels"), [(5, 32), (10, 32), (20, 32), (20, 8), (20, 4)])
def test_the_papers_parameter_counts(layers, channels):
    with torch.device("meta"):
        for kind, factor in ((RkhsNode, 1), (ShlNode, 2)):
            facts = net(kind, layers, channels=channels, hidden_channels=channels).facts()
            trained = factor * (layers + 1) * 9 * channels**2
            a = 16 * channels + channels + 16 * channels**2 + channels + 4 * channels
            b = 2 * channels + 25 * channels * 10 + 10
            assert facts == {"layers": layers, "trainable_parameters": trained, "parameters": trained + a + b}


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("layers", [1, 2, 5])
@pytest.mark.parametrize(("kind", "interpolation"), [(RkhsNode, "exact"), (RkhsNode, "original"), (ShlNode, "exact")])
@pytest.mark.parametrize("image_size", [28, 32])
def test_outputs_and_gradients_are_the_oracles(kind, interpolation, layers, method, image_size):
    model = net(kind, layers, method=method, interpolation=interpolation, image_size=image_size).double()
    pair = {
        name: value if value.dtype == torch.int64 else value + 0.3 * torch.rand_like(value)
        for name, value in model.embedding.state_dict().items()
    }
    model.load_embedding(pair)  # no longer γ = 1, β = 0, μ = 0, σ = 1
    x, target = images(image_size), torch.randint(10, (4,))

    weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
    trained = {name: weights[name].requires_grad_() for name, p in model.named_parameters() if p.requires_grad}

    def field(t, z):
        if kind is ShlNode:
            return shl_field(weights, layers, t, z)
        return rkhs_field(weights, layers, interpolation == "original", t, z)

    expected = ode_net(weights, x, field, layers, method)
    logits = model(x)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)
    gradients = torch.autograd.grad(F.cross_entropy(expected, target), list(trained.values()), allow_unused=True)
    F.cross_entropy(logits, target).backward()
    parameters = dict(model.named_parameters())
    for name, gradient in zip(trained, gradients, strict=True):
        found = parameters[name].grad
        if found is None:  # the last knot with Euler: the oracle multiplies it by nothing, or by zero
            assert gradient is None or not gradient.any(), name
        else:
            torch.testing.assert_close(found, gradient, rtol=0, atol=1e-10)


@pytest.mark.parametrize("layers", [1, 5, 20, 61, 109])
@pytest.mark.parametrize("kind", NETS)
def test_euler_steps_are_residual_blocks_with_tau_one_over_layers(kind, layers):
    model = net(kind, layers, method="euler").double()
    with torch.no_grad():
        for w in model.field.w:
            w *= 10  # so that the blocks do something

    def branch(k):
        omega = model.field.omega[k] if kind is ShlNode else model.field.omega
        first, second = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.Conv2d(4, 3, 3, padding=1, bias=False)
        first.weight, second.weight = nn.Parameter(omega.detach()), nn.Parameter(model.field.w[k].detach())
        return nn.Sequential(first, nn.ReLU(), second)

    blocks = nn.Sequential(
        *(ResidualBlock(branch(k), nn.Identity(), FixedScale(1 / layers), nn.Identity()) for k in range(layers))
    )
    x = images()
    with torch.no_grad():
        z = model.embedding.input(x)
        moved = blocks(z)
        assert (moved - z).abs().max() > 0.01
        assert (model(x) - model.embedding.output(moved)).abs().max() <= 1e-12


@pytest.mark.parametrize(
    "solver", [FixedSolver(method="midpoint", adjoint=False), FixedSolver(method="rk4", adjoint=True)]
)
@pytest.mark.parametrize("kind", NETS)
def test_the_flow_starts_as_the_identity(kind, solver):
    model, x = net(kind, 5, solver=solver, zero_init=True), images(dtype=torch.float32)
    logits = model(x)
    assert torch.equal(logits, model.embedding.output(model.embedding.input(x)))
    logits.square().sum().backward()
    assert all(w.grad.any() for w in model.field.w)  # and learns from there


@pytest.mark.parametrize("kind", NETS)
def test_exactly_the_field_is_trained(kind):
    model = net(kind)
    (group,) = model.parameter_groups()
    assert group["lr_factor"] == 1.0
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    assert {id(p) for p in group["params"]} == trained
    assert len(group["params"]) == len(trained)
    assert model.learned_tau() is None


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("method", EVALUATIONS)
def test_evaluations_are_counted_in_training_passes(method, adjoint):
    model, layers = net(layers=7, method=method, adjoint=adjoint, image_size=8), 7
    for _ in range(3):
        model.train()
        model(images(8, dtype=torch.float32)).sum().backward()
        model.eval()
        with torch.no_grad():
            model(images(8, dtype=torch.float32))
    each = EVALUATIONS[method] * layers
    twin = net(layers=7, method=method, adjoint=adjoint, image_size=8)
    twin.load_metrics_state(model.metrics_state())  # a training taken up again
    expected = {"nfe_forward": each, "nfe_backward": each if adjoint else 0}
    assert model.extra_metrics() == twin.extra_metrics() == expected
    model.train()(images(8, dtype=torch.float32))
    assert model.extra_metrics() == {"nfe_forward": each, "nfe_backward": 0}


def test_weights_are_weights_alone_and_those_of_older_releases_still_load():
    """They held the counts of evaluations, too, which a checkpoint needs."""
    model, twin = net(adjoint=True, image_size=8), net(adjoint=True, image_size=8)
    state = model.state_dict()
    assert not [name for name in state if "_extra_state" in name]
    state["_extra_state"] = torch.tensor([3, 60, 30])
    twin.load_state_dict(state)
    assert twin.extra_metrics() == {"nfe_forward": 20, "nfe_backward": 10}
    assert torch.equal(twin.field.w[0], model.field.w[0])


class Reads(TorchDispatchMode):
    """Counts operators, and what is read from the device."""

    def __init__(self):
        super().__init__()
        self.operators = self.reads = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operators += 1
        self.reads += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default)
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("kind", NETS)
def test_a_forward_pass_reads_nothing_from_the_device(kind, method):
    model, x = net(kind, 20, method=method, image_size=8), images(8, dtype=torch.float32)
    with Reads() as seen:
        model(x)
    assert seen.reads == 0
    if (kind, method) == (RkhsNode, "midpoint"):
        assert seen.operators <= 300  # 705 by torchdiffeq
    with FakeTensorMode() as fake:
        made = net(kind, 3, method=method, image_size=8)
        assert made(fake.from_tensor(x)).shape == (4, 10)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize(("kind", "interpolation"), [(RkhsNode, "exact"), (RkhsNode, "original"), (ShlNode, "exact")])
def test_compiled_it_is_one_graph(kind, interpolation, method):
    model, x = net(kind, 3, method=method, interpolation=interpolation, image_size=8), images(8, dtype=torch.float32)
    expected = model(x)
    torch.compiler.reset()  # else the graphs of other tests count towards a limit
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)
    model.eval()
    torch.testing.assert_close(compiled(x), expected)


def test_compiled_for_good_it_has_the_gradients_of_the_plain_one():
    """By inductor, whose compiler a machine may lack."""
    model, x = net(layers=2, image_size=8), images(8, dtype=torch.float32)
    twin = copy.deepcopy(model)
    model(x).square().sum().backward()
    torch.compiler.reset()
    try:
        torch.compile(twin, fullgraph=True)(x).square().sum().backward()
    except torch._inductor.exc.InductorError as error:
        pytest.skip(f"no compiler: {error}")
    for p, q in zip(model.field.parameters(), twin.field.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


def test_an_adaptive_solver_still_runs_in_a_compiled_network():
    solver = AdaptiveSolver(method="bosh3", rtol=1e-2, atol=1e-2, adjoint=False)
    model, x = net(layers=2, solver=solver, image_size=8), images(8, dtype=torch.float32)
    torch.testing.assert_close(torch.compile(model, backend="eager")(x), model(x))


def test_an_adaptive_solver_takes_the_knots_from_layers_and_the_steps_from_the_tolerance():
    counts = []
    for tolerance in (1e-2, 1e-7):
        solver = AdaptiveSolver(method="dopri5", rtol=tolerance, atol=tolerance, adjoint=False)
        model = net(layers=3, solver=solver, image_size=8).double()
        assert len(model.field.w) == 4
        model(images(8))
        counts.append(model.extra_metrics()["nfe_forward"])
    assert counts[1] > 2 * counts[0]
    fine = net(layers=3, method="rk4", image_size=8).double()
    fine.load_state_dict(model.state_dict())
    torch.manual_seed(0)
    x = images(8)
    torch.testing.assert_close(model(x), fine(x), rtol=0, atol=1e-3)


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("kind", NETS)
def test_memory_format_and_copies_do_not_change_the_result(kind, adjoint):
    model, x = net(kind, 5, adjoint=adjoint).double(), images()
    other = copy.deepcopy(model).to(memory_format=torch.channels_last)
    for each, inputs in ((model, x), (other, x.contiguous(memory_format=torch.channels_last))):
        each(inputs).square().sum().backward()
    torch.testing.assert_close(model(x), other(x), rtol=1e-10, atol=1e-10)
    for p, q in zip(model.field.parameters(), other.field.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("solver", ["fixed", "adaptive", "adjoint"])
def test_bfloat16_reaches_every_knot(solver):
    """The state, and with it the time, stay in single precision: 61 layers need more than 8 bits."""
    made = {
        "fixed": FixedSolver(method="midpoint", adjoint=False),
        "adaptive": AdaptiveSolver(method="bosh3", rtol=1e-2, atol=1e-2, adjoint=False),
        "adjoint": FixedSolver(method="midpoint", adjoint=True),
    }
    model, x = net(layers=61, solver=made[solver], image_size=8), images(8, dtype=torch.float32)
    expected = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(x)
    torch.testing.assert_close(logits.float(), expected, rtol=0.1, atol=0.1)
    logits.float().square().sum().backward()
    if solver != "adaptive":
        assert all(w.grad is not None and w.grad.any() for w in list(model.field.w)[:-1])


def composed(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=["runtime.data_root=null", *overrides])
    return build.complete(OmegaConf.to_container(config, resolve=True))


@pytest.mark.parametrize("arch", ["rkhs_node", "shl_node"])
def test_an_arch_chooses_its_groups_and_the_command_line_wins(arch):
    config = composed(f"arch={arch}")
    assert config["tau"] is None
    assert (config["solver"]["method"], config["embedding"]["passes"]) == ("midpoint", 0)
    assert composed(f"arch={arch}", "solver=rk4")["solver"]["method"] == "rk4"
    assert composed("solver=dopri5", f"arch={arch}")["solver"]["method"] == "dopri5"
    build.network(config, device="meta")


NAMED = [path.stem for path in (CONF / "solver").glob("*.yaml") if "TableauSolver" not in path.read_text()]


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_named_solver_is_that_method(name):
    config = composed("arch=rkhs_node", "arch.layers=2", f"solver={name}")
    assert config["solver"]["method"] == name
    assert build.network(config).solver.method == name


def test_a_tableau_is_typed_in():
    config = composed("arch=rkhs_node", "arch.layers=2", "solver=tableau", "solver.a=[[],[2/3]]", "solver.b=[1/4,3/4]")
    solver = build.network(config).solver
    assert solver.tableau == TABLEAUS["ralston"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["arch=resnet20", "solver=euler"], "CifarResNet takes no solver: solver must be null"),
        (["arch=resnet20", "embedding=default"], "CifarResNet takes no embedding: embedding must be null"),
        (["arch=rkhs_node", "tau=one"], "RkhsNode takes no tau: tau must be null"),
        (["arch=shl_node", "arch.layers=0"], "arch.layers must be at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(overrides, message):
    with pytest.raises(BadInput) as error:
        build.network(composed(*overrides), device="meta")
    assert str(error.value) == message


def test_the_protocols_of_the_logs_and_of_the_readme():
    keys = {"batch_size": 256, "lr": 0.5, "warmup_epochs": 0}
    for name, own in (
        ("mnist_flow", {"epochs": 40, "milestones": [35], "factor": 0.2}),
        ("mnist_flow_readme", {"epochs": 30, "milestones": [25], "factor": 0.1}),
    ):
        config = composed(f"schedule={name}")
        assert config["schedule"].items() >= (keys | own).items()
        assert config["optimizer"].items() >= {"momentum": 0.0, "weight_decay": 0.0}.items()
