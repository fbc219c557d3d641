"""What a network is, found out by building it on the meta device: its size, L, τ; and that it can be built.

Where nothing is trained in this process that is done in another one: torch takes 500 MB, which a command that only
plans or submits need not keep.
"""

import functools
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from taunode import build, own_code
from taunode.errors import BadInput
from taunode.orphan import die_with

if TYPE_CHECKING:
    from taunode.models.network import Network

T = TypeVar("T")


def inspect(nodes: str) -> dict[str, Any]:
    """The facts of a network.

    Args:
        nodes: the parts of a frozen configuration that it is built from, the shape of the data, and whether the
            network must be a `chain`, as JSON.

    Raises:
        BadInput: it cannot be built.
    """
    config = json.loads(nodes)
    network, target = build.network({**config, "seed": 0}, device="meta"), config["arch"]["_target_"]
    if config["chain"] and network.chain() is None:
        raise BadInput(
            f"schedule=initialisation measures networks of residual blocks (arch=resnet…), {type(network).__name__} "
            "is none"
        )
    if target in own_code.targets("arch"):
        _try(network, config, target)
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


def _try(network: "Network", config: Mapping[str, Any], target: str) -> None:
    """Two images through a network of this user's own: a mistake in it is told before anything is written.

    Raises:
        BadInput: it takes no such images, or gives no logits.
    """
    import torch

    data = config["dataset"]
    shape = (2, data["channels"], data["image_size"], data["image_size"])
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            try:
                logits = network(torch.empty(shape, device="meta"))
            except Exception:  # a mistake, or it looks at values, which nothing on that device has: a real pass tells
                logits = build.network({**config, "seed": 0})(torch.zeros(shape))
    except Exception as error:  # its author's code may raise anything
        raise BadInput(
            f"arch: {target}, given images of the data set's shape: {own_code.in_one_line(error)}"
        ) from error
    if tuple(getattr(logits, "shape", ())) != (2, data["classes"]):
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise BadInput(f"arch: {target} gives {found} for 2 images, not logits (2, {data['classes']})")


def check_training(nodes: str) -> None:
    """Build what trains a network.

    Args:
        nodes: schedule, optimizer and parametrization of a frozen configuration, as JSON.

    Raises:
        BadInput: it cannot be built, or they do not fit together.
    """
    config = json.loads(nodes)
    build.optimizer(config)
    build.parametrization(config)


def apart(ask: Callable[[str], T]) -> Callable[[str], T]:
    """One of the functions above, called in another process, unless torch is here already."""

    def asked(nodes: str) -> T:
        return ask(nodes) if "torch" in sys.modules else _process().submit(ask, nodes).result()

    return asked


@functools.cache
def _process() -> ProcessPoolExecutor:
    """One process, for as long as this one lives."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("fork"), _begin, (os.getpid(),))


def _begin(parent: int) -> None:
    """In it: nobody is asked by a command that was killed, and Ctrl-C is the command's."""
    die_with(parent, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
