"""Pretraining trains the pair, and leaves it frozen."""

import torch

from taunode.models.embedding import Embedding, EmbeddingPair
from taunode.training.metrics import sample_losses
from taunode.training.pretraining import pretrain
from training.small import Batches


def pair() -> EmbeddingPair:
    return Embedding(passes=0, seed=1, weights=None).untrained(in_channels=1, channels=4, image_size=8, classes=3)


def batches() -> Batches:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (50,), generator=generator)
    inputs = torch.rand(50, 1, 8, 8, generator=generator) + labels[:, None, None, None]
    return Batches(inputs, labels, 16)


def loss(of: EmbeddingPair) -> float:
    data = batches()
    return float(sample_losses(of.output(of.input(data.inputs)), data.labels).mean())


def test_it_learns_and_is_frozen_again() -> None:
    trained, untrained = pair(), pair()
    pretrain(trained, batches(), passes=20, lr=0.01)
    assert loss(trained) < 0.7 * loss(untrained)
    assert not any(parameter.requires_grad for parameter in trained.parameters())
    assert not any(module.training for module in trained.modules())


def test_the_passes_are_plain_sgd_on_the_mean_loss_with_batch_statistics() -> None:
    trained, reference = pair(), pair()
    pretrain(trained, batches(), passes=1, lr=0.01)
    reference.requires_grad_(True)
    reference.input.train(), reference.output.train()
    for inputs, labels in batches():
        value = torch.nn.functional.cross_entropy(reference.output(reference.input(inputs)), labels)
        gradients = torch.autograd.grad(value, list(reference.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(reference.parameters(), gradients, strict=True):
                parameter -= 0.01 * gradient
    for name, tensor in reference.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], tensor)
