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
from taunode.paths import expanded
from taunode.plan.inspect import apart as in_another_process
from taunode.plan.inspect import check_training, inspect
from taunode.runs.history import MOVED, upgraded
from taunode.runs.runtime import Runtime
from taunode.runs.signature import flatten
from taunode.training.schedule import Initialisation, Schedule

GROUPS = ("arch", "tau", "init", "dataset", "schedule", "embedding", "solver", "optimizer", "parametrization")
KEYS = (*GROUPS, "seed", "precision")
PRECISIONS = ("fp32", "tf32", "bf16", "fp64")


def words_of_omegaconf(error: OmegaConfBaseException) -> str:
    """What OmegaConf says was wrong, with the key."""
    line = str(error).partition("\n")[0]
    return f"{error.full_key}: {line}" if error.full_key and error.full_key not in line else line


def check_seed(seed: Any) -> int:
    """
    Raises:
        BadInput: it is no seed of torch's generators.
    """
    number: int = build.convert(seed, int, "seed")
    if not 0 <= number < 2**63:
        raise BadInput(f"seed must be a whole number from 0 to 2^63 - 1, got {number}")
    return number


class Freezer:
    """Freezes and checks configurations; what several have in common is looked at once.

    Args:
        directory: what relative paths are relative to: where the command was typed.
        apart: networks are built in another process, since nothing is trained in this one.
    """

    def __init__(self, directory: Path, apart: bool = False) -> None:
        self.directory = directory
        self._data_facts = functools.cache(self._ask_data)
        self._weights_facts = functools.cache(self._read_weights)
        self._network_facts = functools.cache(in_another_process(inspect) if apart else inspect)
        self._training = functools.cache(in_another_process(check_training) if apart else check_training)
        self._schedules = functools.cache(self._build_schedule)
        self._blocks: dict[str, Any] = {}
        self._facts = functools.cache(self._ask)

    def freeze(self, config: DictConfig) -> tuple[dict[str, Any], Runtime]:
        """The frozen configuration of a run, and the runtime it was asked with. Imports no torch.

        Equal blocks (`arch`, `tau`, …) of all configurations are one object: 10,000 runs share a handful of them.

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
            if key in MOVED:
                raise BadInput(f"{key} is {MOVED[key]} now")
            if isinstance(value, str) and "${" in value:
                raise BadInput(f"{key}: a value cannot hold '${{', got {value!r}")
        check_seed(frozen["seed"])
        build.convert(frozen["precision"], Literal[PRECISIONS], "precision")
        for group in ("arch", "dataset", "schedule"):
            if not isinstance(frozen[group], dict):
                raise BadInput(f"{group} must be one of its options, got {frozen[group]!r}")
        frozen = build.complete(upgraded(frozen))
        if frozen["embedding"] is not None and frozen["embedding"].get("weights") is not None:
            frozen["embedding"] |= self._weights_facts(str(frozen["embedding"]["weights"]))
        frozen["dataset"] |= self._data_facts(json.dumps(frozen["dataset"]), runtime.data_root, runtime.cache_dir)
        for group in GROUPS:
            frozen[group] = self._blocks.setdefault(json.dumps(frozen[group]), frozen[group])
        return frozen, runtime

    def _ask_data(self, node: str, root: str, cache: str) -> dict[str, Any]:
        return build.data_set({"dataset": json.loads(node)}).facts(Path(root), Path(cache))

    def _read_weights(self, name: str) -> dict[str, Any]:
        """The file of an embedding: its absolute path, and the hash that stands for it."""
        path = self.directory / expanded(name, "embedding.weights")
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
        return self._facts(json.dumps([frozen[group] for group in GROUPS]))

    def _ask(self, blocks: str) -> dict[str, Any]:
        frozen = dict(zip(GROUPS, json.loads(blocks), strict=True))
        schedule = self._schedules(json.dumps(frozen["schedule"]))
        shape = {key: frozen["dataset"][key] for key in ("channels", "image_size", "classes")}
        training = ("schedule", "optimizer", "parametrization", "init", "tau")
        self._training(json.dumps({key: frozen[key] for key in training}))
        parts = {key: frozen[key] for key in ("arch", *build.PARTS)}
        if frozen["parametrization"] is not None:  # it prepares the network for what trains it
            parts |= {key: frozen[key] for key in ("parametrization", "optimizer", "schedule")}
        measured = isinstance(schedule, Initialisation)
        nodes = json.dumps({**parts, "dataset": shape, "chain": measured}, sort_keys=True)
        return self._network_facts(nodes) | {"epochs_planned": schedule.epochs}

    def _build_schedule(self, node: str) -> Schedule | Initialisation:
        return build.schedule({"schedule": json.loads(node)})
