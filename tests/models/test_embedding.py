"""The frozen embedding: its shapes, its own seed, files that fit and files that do not, the papers' pairs on MNIST."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from taunode.data.idx import read_pair
from taunode.errors import BadInput
from taunode.models.embedding import Embedding, EmbeddingPair
from taunode.models.ode import RkhsNode
from taunode.models.solver import FixedSolver

SHARED = Path(__file__).parents[2].parent / "shared"
PAPERS = SHARED / "data" / "flowresnets-embeddings"
MNIST = SHARED / "data" / "mnist" / "MNIST" / "raw"


def embedding(seed=0, passes=0):
    return Embedding(passes=passes, seed=seed, weights=None)


def net(channels=4, image_size=28):
    return RkhsNode(
        layers=2,
        channels=channels,
        hidden_channels=channels,
        interpolation="exact",
        zero_init=True,
        solver=FixedSolver(method="midpoint", adjoint=False),
        embedding=embedding(),
        in_channels=1,
        image_size=image_size,
        classes=10,
    )


@pytest.mark.parametrize(("image_size", "size"), [(28, 5), (32, 6), (8, 4)])
def test_the_papers_sizes(image_size, size):
    pair = EmbeddingPair(3, 7, image_size, 11)
    z = pair.input(torch.randn(2, 3, image_size, image_size))
    assert z.shape == (2, 7, size, size)
    assert pair.output(z).shape == (2, 11)


@pytest.mark.parametrize("image_size", range(4, 70))
def test_any_size_from_four_pixels(image_size):
    pair = EmbeddingPair(1, 2, image_size, 3)
    assert pair.output(pair.input(torch.randn(2, 1, image_size, image_size))).shape == (2, 3)


def test_smaller_images_are_refused():
    with pytest.raises(BadInput, match="3×3 pixels are too small for an embedding: at least 4×4"):
        EmbeddingPair(1, 2, 3, 10)


def test_frozen_and_in_evaluation_mode_whatever_the_network_is_in():
    model = net()
    before = {name: value.clone() for name, value in model.embedding.state_dict().items()}
    for mode in (True, False, True):
        model.train(mode)
        assert not any(module.training for module in model.embedding.modules())
    optimizer = torch.optim.SGD(model.parameter_groups(), lr=1.0)
    model(torch.rand(8, 1, 28, 28)).square().sum().backward()
    optimizer.step()
    assert not any(p.requires_grad or p.grad is not None for p in model.embedding.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.embedding.state_dict().items())


def test_untrained_batch_norms_are_the_identity():
    pair = embedding().untrained(1, 4, 28, 10)
    x = torch.randn(2, 4, 5, 5)
    for norm in (pair.input[1], pair.input[4], pair.output[0]):
        torch.testing.assert_close(norm(x), x, rtol=1e-5, atol=1e-5)


def test_weights_come_from_the_embeddings_seed_alone():
    drawn = []
    for run_seed, seed in ((0, 0), (1, 0), (1, 1)):
        torch.manual_seed(run_seed)
        state = torch.get_rng_state()
        drawn.append(embedding(seed).untrained(1, 4, 28, 10).state_dict())
        assert torch.equal(torch.get_rng_state(), state)
    same, other = ([torch.equal(drawn[0][name], pair[name]) for name in drawn[0]] for pair in drawn[1:])
    assert all(same)
    assert not all(other)


def test_without_a_seed_it_is_drawn_from_the_runs():
    torch.manual_seed(5)
    torch.rand(3)  # what was drawn since changes nothing
    state = torch.get_rng_state()
    own = embedding(None).untrained(1, 4, 28, 10).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    explicit = embedding(5).untrained(1, 4, 28, 10).state_dict()
    assert all(torch.equal(own[name], explicit[name]) for name in own)


def test_shapes_alone_can_be_asked_for():
    with torch.device("meta"):
        meta = embedding().untrained(1, 4, 28, 10).state_dict()
    real = embedding().untrained(1, 4, 28, 10).state_dict()
    assert {name: value.shape for name, value in meta.items()} == {name: value.shape for name, value in real.items()}
    assert all(value.is_meta for value in meta.values())


def test_a_pair_is_loaded_whole_or_refused():
    model, pair = net(), embedding(seed=3).untrained(1, 4, 28, 10).state_dict()
    model.load_embedding(pair)
    assert all(torch.equal(value, pair[name]) for name, value in model.embedding.state_dict().items())
    with pytest.raises(
        BadInput, match=r"embedding: input\.0\.weight has the shape \(5, 1, 4, 4\), this network needs \(4, 1, 4, 4\)"
    ):
        model.load_embedding(embedding().untrained(1, 5, 28, 10).state_dict())
    with pytest.raises(BadInput, match=r"output\.2\.weight has the shape \(10, 144\), this network needs \(10, 100\)"):
        model.load_embedding(embedding().untrained(1, 4, 32, 10).state_dict())
    with pytest.raises(BadInput, match=r"embedding: output\.2\.bias is missing"):
        model.load_embedding({name: value for name, value in pair.items() if name != "output.2.bias"})
    with pytest.raises(BadInput, match=r"embedding: scale is unknown"):
        model.load_embedding(pair | {"scale": torch.ones(())})


@pytest.mark.parametrize(("passes", "seed", "key"), [(-1, 0, "passes"), (0, -1, "seed"), (0, 2**63, "seed")])
def test_values_out_of_range_are_refused(passes, seed, key):
    with pytest.raises(BadInput, match=rf"^embedding\.{key} must be "):
        embedding(seed, passes)


@pytest.mark.parametrize("lr", [0.0, -1.0, math.inf, math.nan])
def test_a_learning_rate_is_finite_and_positive(lr):
    with pytest.raises(BadInput, match=r"^embedding\.lr must be a finite number > 0"):
        Embedding(passes=1, seed=0, weights=None, lr=lr)


def test_one_digest_is_one_pair():
    pair = embedding(0).untrained(1, 4, 8, 10)
    assert pair.digest == embedding(0).untrained(1, 4, 8, 10).digest
    assert pair.digest != embedding(1).untrained(1, 4, 8, 10).digest
    before = pair.digest
    pair.output[0].running_mean[0] += 1
    assert pair.digest != before


@pytest.mark.skipif(not PAPERS.is_dir(), reason="the papers' embeddings are not there")
@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not there")
@pytest.mark.parametrize(("channels", "passes", "error"), [(32, 0, 87.46), (32, 3, 3.61), (8, 0, 92.35)])
def test_the_papers_pairs_on_mnist_before_the_flow_is_trained(channels, passes, error):
    model = net(channels)
    model.load_embedding(load_file(PAPERS / f"c{channels}_p{passes}.safetensors"))
    images = read_pair(MNIST, "t10k", 10_000)
    x = torch.from_numpy(images.pixels.copy()).float() / 255
    with torch.no_grad():
        wrong = sum(
            (model(x[part]).argmax(1) != torch.from_numpy(images.labels[part])).sum().item()
            for part in (slice(start, start + 1000) for start in range(0, 10_000, 1000))
        )
    assert wrong / 100 == pytest.approx(error, abs=0.005)
