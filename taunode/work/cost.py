"""What a training costs: the floating-point operations of an image, and how near to the machine's peak they are done.

Operations are those of convolutions and products of matrices, forward and backward, a multiplication and an addition
apart, by torch's own formulas (`torch.utils.flop_counter`), on the meta device. What activation checkpointing computes
a second time is not counted: it is memory's price, not the network's. The peak is measured by products of matrices.

Both are found out when a training has taken `WORTH` seconds, and kept in the cache directory: a short run waits for
neither. The peak is measured by each run, and the highest counts: what was measured beside other jobs is too low.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from taunode import build
from taunode.runs.files import Unreadable, read_json, to_json, write_aside

WORTH = 10.0  # seconds of training, below which nobody asks what they cost
SHORTEST, MEASURED = 0.02, 0.3  # seconds of one product, and of all
LARGEST = 8192  # rows of a matrix


@dataclass
class Cost:
    """What `taunode.training.stopwatch` asks for the row of an epoch.

    Attributes:
        config: the run's frozen configuration.
        world: the processes that train it, each with such a device.
        cache: the cache directory.
    """

    config: Mapping[str, Any]
    device: torch.device
    world: int
    cache: Path
    _known: tuple[float | None, float] | None = None

    def __call__(self, images_per_second: float, seconds: float) -> dict[str, float | None]:
        """`gflop_per_second` and `percent_of_peak` at so many images a second; null before `seconds` of training are
        worth it, and where the operations cannot be counted."""
        if self._known is None and seconds >= WORTH:
            self._known = self._flops(), self._peak()
        flops, peak = self._known or (None, 0.0)
        if flops is None or peak <= 0:
            return {"gflop_per_second": None, "percent_of_peak": None}
        done = flops * images_per_second
        percent = 100 * done / (peak * self.world)
        return {"gflop_per_second": round(done / 1e9, 2), "percent_of_peak": round(percent, 1)}

    def _flops(self) -> float | None:
        data = {key: self.config["dataset"][key] for key in ("channels", "image_size", "classes")}
        parts = {key: self.config.get(key) for key in ("arch", *sorted(build.PARTS))}
        asked = {**parts, "dataset": data, "torch": torch.__version__}
        path = _file(self.cache, "flops", asked)
        known, found = _known(path)
        if not known:
            found = flops_of_image({**parts, "dataset": data})
            _keep(path, asked, found)
        return found

    def _peak(self) -> float:
        precision = self.config["precision"]
        cuda = self.device.type == "cuda"
        name = torch.cuda.get_device_name(self.device) if cuda else _processor()
        threads = None if cuda else torch.get_num_threads()
        asked = {"device": name, "threads": threads, "precision": precision, "torch": torch.__version__}
        path = _file(self.cache, "peak", asked)
        highest, measured = _known(path)[1] or 0.0, peak(self.device, precision)
        if measured > highest:
            _keep(path, asked, measured)
        return max(highest, measured)


def _file(cache: Path, kind: str, asked: Mapping[str, Any]) -> Path:
    key = json.dumps(asked, sort_keys=True)
    return cache / "cost" / f"{kind}-{hashlib.blake2b(key.encode(), digest_size=8).hexdigest()}.json"


def _known(path: Path) -> tuple[bool, float | None]:
    """Whether a number was found out before, and which: null where there is none."""
    with contextlib.suppress(Unreadable, KeyError, TypeError):
        value = read_json(path)["value"]
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return True, value
    return False, None


def _keep(path: Path, asked: Mapping[str, Any], value: float | None) -> None:
    with contextlib.suppress(OSError):  # a cache that cannot be written: found out again another time
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, lambda file: file.write(to_json({**asked, "value": value})))


def flops_of_image(config: Mapping[str, Any]) -> float | None:
    """Floating-point operations of training on one image: forward and backward.

    Args:
        config: arch, tau, init, solver, embedding, and dataset's shape, of a frozen configuration.

    Returns:
        Null where they depend on the images: with an adaptive solver, or in a network of one's own that looks at them.
    """
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    class Counting(TorchDispatchMode):
        """`FlopCounterMode` without its account a module, which takes minutes of 1,202 layers."""

        total = 0.0

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]  # torch's has no types

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = func(*args, **(kwargs or {}))
            if (count := flop_registry.get(func.overloadpacket)) is not None:
                self.total += count(*args, **(kwargs or {}), out_val=found)
            return found

    arch = dict(config["arch"])
    if "checkpoint_segments" in arch:
        arch["checkpoint_segments"] = None
    data = config["dataset"]
    if "rtol" in (config.get("solver") or {}):
        return None
    try:
        network = build.network({**config, "arch": arch, "seed": 0}, device="meta").train()
        # Two: of one image batch normalisation has no variance where features are 1×1.
        images = torch.empty(2, data["channels"], data["image_size"], data["image_size"], device="meta")
        with Counting() as counting, torch.random.fork_rng(devices=[]), torch.enable_grad():
            network(images).sum().backward()
    except Exception:  # a network of one's own may do anything
        return None
    return float(counting.total / 2)


def peak(device: torch.device, precision: str) -> float:
    """Operations a second of the best of several products of square matrices, in less than a second."""
    dtype = {"bf16": torch.bfloat16, "fp64": torch.float64}.get(precision, torch.float32)

    def seconds(matrix: torch.Tensor) -> float:
        began = time.perf_counter()
        torch.mm(matrix, matrix)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    rows = 256
    with torch.no_grad():
        while True:
            matrix = torch.full((rows, rows), 1 / rows, dtype=dtype, device=device)
            seconds(matrix)  # what is done once for a shape
            best = seconds(matrix)
            if best >= SHORTEST or rows == LARGEST:
                break
            rows *= 2
        until = time.perf_counter() + MEASURED
        while time.perf_counter() < until:
            best = min(best, seconds(matrix))
    return float(2 * rows**3 / best)


def _processor() -> str:
    """The processor's name: one cache may serve several machines."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    import platform

    return platform.processor() or platform.machine()
