"""What a network is, found out by building it on the meta device: its size, L, τ; and that it can be built.

Where nothing is trained in this process that is done in another one: torch takes 500 MB, which a command that only
plans or submits need not keep.
"""

import functools
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from taunode import build
from taunode.errors import BadInput


def inspect(nodes: str) -> dict[str, Any]:
    """The facts of a network.

    Args:
        nodes: the parts of a frozen configuration that it is built from, and the shape of the data, as JSON.

    Raises:
        BadInput: it cannot be built.
    """
    config = json.loads(nodes)
    network = build.network({**config, "seed": 0}, device="meta")
    if config["embedding"] is not None and config["embedding"]["weights"] is not None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from taunode.models.ode import OdeNet

        assert isinstance(network, OdeNet)  # the networks that take an embedding
        weights = config["embedding"]["weights"]
        try:
            network.load_embedding(load_file(weights))  # on meta: only the shapes matter
        except SafetensorError as error:
            raise BadInput(f"embedding.weights={weights}: not a safetensors file ({error})") from None
    return network.facts()


def inspect_apart(nodes: str) -> dict[str, Any]:
    """As `inspect`, in another process, unless torch is here already."""
    if "torch" in sys.modules:
        return inspect(nodes)
    return _process().submit(inspect, nodes).result()


@functools.cache
def _process() -> ProcessPoolExecutor:
    """One process, for as long as this one lives."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
