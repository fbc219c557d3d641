"""The embedding of a run: given in a file, or pretrained once for all runs that share it and kept in the cache."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from safetensors.torch import save as to_safetensors
from torch import Tensor

from taunode.data.dataset import DataSet
from taunode.data.images import Splits
from taunode.data.loader import loaders
from taunode.data.lock import locked
from taunode.models.embedding import EmbeddingPair
from taunode.runs.files import write_aside
from taunode.training.pretraining import BATCH_SIZE, pretrain

VERSION = 1  # of how pairs are pretrained; raised when that changes


def provide(
    config: Mapping[str, Any], untrained: EmbeddingPair, data_set: DataSet, splits: Splits, cache: Path
) -> dict[str, Tensor]:
    """The weights of the pair that a configuration asks for, on the CPU.

    Pretrained pairs are trained once per (data set, image size, holdout, channels, passes, seed), under a lock; the
    seed is `embedding.seed`, or the run's own where that is null.

    Args:
        untrained: the pair as drawn, on the run's device; it is trained in place where no run has done so before.
    """
    embedding = config["embedding"]
    if embedding["weights"] is not None:
        return dict(load_file(embedding["weights"]))
    if embedding["passes"] == 0:
        return untrained.state_dict()
    seed = config["seed"] if embedding["seed"] is None else embedding["seed"]
    shared = [
        data_set.fingerprint,
        data_set.image_size,
        data_set.holdout,
        config["arch"]["channels"],
        embedding["passes"],
        seed,
    ]
    key = hashlib.blake2b(json.dumps([VERSION, *shared]).encode(), digest_size=16).hexdigest()
    path = cache / "embeddings" / f"{key}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        if not path.exists():
            device = next(untrained.parameters()).device
            plain = replace(data_set, crop_padding=0, flip=False)
            loader, _ = loaders(plain, splits, BATCH_SIZE, seed, device)
            pretrain(untrained, loader, embedding["passes"])
            tensors = {name: tensor.cpu() for name, tensor in untrained.state_dict().items()}
            content = to_safetensors(tensors, {"shared": json.dumps(shared)})
            write_aside(path, lambda file: file.write(content))
    return dict(load_file(path))
