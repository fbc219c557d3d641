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

from taunode import build
from taunode.data.dataset import DataSet
from taunode.data.images import Splits
from taunode.data.loader import loaders
from taunode.data.lock import locked
from taunode.models.embedding import EmbeddingPair
from taunode.models.network import Network
from taunode.models.ode import OdeNet
from taunode.runs.files import write_aside
from taunode.runs.runtime import Runtime
from taunode.training.pretraining import BATCH_SIZE, pretrain

VERSION = 3  # of how pairs are pretrained; raised when that changes


def embed(network: Network, config: Mapping[str, Any], runtime: Runtime) -> None:
    """Give a network that has an embedding the one that its runs start from; reads the data if it has to be trained."""
    if not isinstance(network, OdeNet):
        return
    data_set, splits = build.data_set(config), None
    if config["embedding"]["weights"] is None and config["embedding"]["passes"]:
        data_set.prepare(Path(runtime.data_root), Path(runtime.cache_dir))
        splits = data_set.load(Path(runtime.data_root), Path(runtime.cache_dir))
    network.load_embedding(provide(config, network.embedding, data_set, splits, Path(runtime.cache_dir)))


def provide(
    config: Mapping[str, Any], untrained: EmbeddingPair, data_set: DataSet, splits: Splits | None, cache: Path
) -> dict[str, Tensor]:
    """The weights of the pair that a configuration asks for, on the CPU.

    Pretrained pairs are trained once per (data set, image size, mean and std, holdout, shapes, passes, rate, seed),
    under a lock; the seed is `embedding.seed`, or the run's own where that is null.

    Args:
        untrained: the pair as drawn, on the run's device; it is trained in place where no run has done so before.
        splits: the data; null where nothing has to be trained.
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
        [data_set.mean, data_set.std],
        data_set.holdout,
        [(name, list(tensor.shape)) for name, tensor in untrained.state_dict().items()],
        embedding["passes"],
        embedding["lr"],
        seed,
    ]
    key = hashlib.blake2b(json.dumps([VERSION, *shared]).encode(), digest_size=16).hexdigest()
    path = cache / "embeddings" / f"{key}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        if not path.exists():
            device = next(untrained.parameters()).device
            assert splits is not None
            plain = replace(data_set, crop_padding=0, flip=False)
            loader, _ = loaders(plain, splits, BATCH_SIZE, seed, device)
            pretrain(untrained, loader, embedding["passes"], embedding["lr"])
            tensors = {name: tensor.cpu() for name, tensor in untrained.state_dict().items()}
            content = to_safetensors(tensors, {"shared": json.dumps(shared)})
            write_aside(path, lambda file: file.write(content))
    return dict(load_file(path))
