"""Pretraining of an embedding: a few epochs of SGD on B(A(x)), after which the pair is frozen for good.

Barboni, Peyré, Vialard, arXiv 2112.05531, section 5.1: SGD, batch 256, no momentum, no weight decay. The learning rate
is that of the pairs they released, 0.01: one epoch with it from their untrained pair gives their pair of one pass but
for the order of the images (mean scale of B's normalisation 1.0247, theirs 1.0248). With the stated rate of 1 the loss
is NaN within 40 steps.
"""

import torch
from torch import nn

from taunode.models.embedding import EmbeddingPair
from taunode.training.checkpoint import Loader
from taunode.training.metrics import sample_losses

BATCH_SIZE = 256


def pretrain(pair: EmbeddingPair, loader: Loader, passes: int, lr: float) -> None:
    """Train A and B together for `passes` epochs, in place; then they are frozen and in evaluation mode again.

    Args:
        lr: the learning rate, constant.
        loader: batches of 256, (inputs (batch, in_channels, height, width), labels (batch,)).
    """
    parts = nn.ModuleList([pair.input, pair.output]).train()  # the pair itself refuses to
    pair.requires_grad_(True)
    optimizer = torch.optim.SGD(parts.parameters(), lr=lr)
    for _ in range(passes):
        for inputs, labels in loader:
            loss = sample_losses(pair.output(pair.input(inputs)), labels).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    optimizer.zero_grad()
    pair.requires_grad_(False).eval()
