"""Freeze: from a composed configuration to a complete, checked one in which nothing is left open.

What two groups leave to each other is resolved, the data set adds its shape and fingerprint, and every group is built
once (networks on the meta device), so that what is planned can run.
"""

import functools
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from taunode import build
from taunode.errors import BadInput, nearest
from taunode.runs.runtime import Runtime
from taunode.runs.signature import flatten
from taunode.training.schedule import Initialisation, Schedule

GROUPS = ("arch", "tau", "init", "dataset", "schedule", "embedding", "solver")
KEYS = (*GROUPS, "seed", "precision")


def words_of_omegaconf(error: OmegaConfBaseException) -> str:
    """What OmegaConf says was wrong, with the key."""
    line = str(error).partition("\n")[0]
    return f"{error.full_key}: {line}" if error.full_key and error.full_key not in line else line


class Freezer:
    """Freezes and checks configurations; what several have in common is looked at once.

    Args:
        directory: what relative paths are relative to: where the command was typed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._data_facts = functools.cache(self._ask_data)
        self._weights_facts = functools.cache(self._read_weights)
        self._network_facts = functools.cache(self._build_network)
        self._schedules = functools.cache(self._build_schedule)

    def freeze(self, config: DictConfig) -> tuple[dict[str, Any], Runtime]:
        """The frozen configuration of a run, and the runtime it was asked with. Imports no torch.

        Raises:
            BadInput: a value is missing, of another type, or cannot be frozen; the data set is not there.
        """
        try:
            plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        except OmegaConfBaseException as error:
            raise BadInput(words_of_omegaconf(error)) from None
        assert isinstance(plain, dict)
        frozen: dict[str, Any] = dict.fromkeys(GROUPS) | {str(key): value for key, value in plain.items()}
        for key in ("seed", "precision", "runtime"):
            if key not in frozen:
                raise BadInput(f"{key} is missing; a run has {', '.join(KEYS)} and runtime")
        if not isinstance(frozen["runtime"], dict):
            raise BadInput(f"runtime must be one of its options, got {frozen['runtime']!r}")
        runtime = Runtime.from_config(frozen.pop("runtime"), self.directory)
        for key in frozen:
            if key not in KEYS:
                raise BadInput(f"unknown key {key!r}; nearest: {nearest(key, KEYS)}")
        for key, value in flatten(frozen):
            if isinstance(value, str) and "${" in value:
                raise BadInput(f"{key}: a value cannot hold '${{', got {value!r}")
        seed = build.convert(frozen["seed"], int, "seed")
        if not 0 <= seed < 2**63:
            raise BadInput(f"seed must be a whole number from 0 to 2^63 - 1, got {seed}")
        build.convert(frozen["precision"], Literal["fp32", "bf16", "fp64"], "precision")
        for group in ("arch", "dataset", "schedule"):
            if not isinstance(frozen[group], dict):
                raise BadInput(f"{group} must be one of its options, got {frozen[group]!r}")
        build.complete(frozen)
        if frozen["init"] is None:  # a group that older runs do not have
            del frozen["init"]
        if frozen["embedding"] is not None and frozen["embedding"].get("weights") is not None:
            frozen["embedding"] |= self._weights_facts(str(frozen["embedding"]["weights"]))
        frozen["dataset"] |= self._data_facts(json.dumps(frozen["dataset"]), runtime.data_root, runtime.cache_dir)
        return frozen, runtime

    def _ask_data(self, node: str, root: str, cache: str) -> dict[str, Any]:
        return build.data_set({"dataset": json.loads(node)}).facts(Path(root), Path(cache))

    def _read_weights(self, name: str) -> dict[str, Any]:
        """The file of an embedding: its absolute path, and the hash that stands for it."""
        path = self.directory / Path(name).expanduser()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadInput(f"embedding.weights={name}: {error.strerror} ({path})") from None
        return {"weights": str(path), "fingerprint": hashlib.blake2b(content, digest_size=16).hexdigest()}

    def check(self, frozen: dict[str, Any]) -> dict[str, Any]:
        """Build what a frozen configuration names.

        Returns:
            What tables say of the run before it starts: tau (label), tau_value, blocks (L), parameters,
            trainable_parameters, epochs_planned.

        Raises:
            BadInput: it cannot be built.
        """
        schedule = self._schedules(json.dumps(frozen["schedule"]))
        shape = {key: frozen["dataset"][key] for key in ("channels", "image_size", "classes")}
        parts = {key: frozen.get(key) for key in ("arch", *build.PARTS)}
        nodes = json.dumps({**parts, "dataset": shape}, sort_keys=True)
        facts = self._network_facts(nodes)
        if isinstance(schedule, Initialisation) and "blocks" not in facts:
            name = frozen["arch"]["_target_"].rpartition(".")[2]
            raise BadInput(
                f"schedule=initialisation measures networks of residual blocks (arch=resnet…), {name} is none"
            )
        return facts | {"epochs_planned": schedule.epochs}

    def _build_schedule(self, node: str) -> Schedule | Initialisation:
        return build.schedule({"schedule": json.loads(node)})

    def _build_network(self, nodes: str) -> dict[str, Any]:
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
