"""Execute one attempt at a run in this process: data, network, training, results; every way it can end."""

import contextlib
import errno
import hashlib
import io
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import torch
import torch._dynamo  # the first optimizer would import it: 1.3 s, once in a worker instead of in every child
from safetensors.torch import save as to_safetensors
from torch import Tensor

from taunode import build
from taunode.data.loader import loaders
from taunode.errors import BadInput
from taunode.models.ode import OdeNet
from taunode.runs.claim import Claim, LostClaim
from taunode.runs.directory import write_aside, write_text
from taunode.runs.embeddings import provide
from taunode.runs.hydra_files import write_hydra
from taunode.runs.runtime import Runtime, processors
from taunode.runs.state import State
from taunode.training.checkpoint import furthest
from taunode.training.loop import Conditions, Stopped, fit
from taunode.training.metrics import to_csv
from taunode.training.progress import reports


class AttemptFiles:
    """Where a training's results go: files that carry the attempt's number, each written while the claim is held."""

    def __init__(self, claim: Claim) -> None:
        self._claim, self._run, self._attempt = claim, claim.run, claim.attempt

    def _write(self, path: Path, write: Callable[[BinaryIO], object], durable: bool = False) -> None:
        self._claim.hold()
        write_aside(path, write, durable)

    def checkpoint(self, write: Callable[[BinaryIO], object]) -> None:
        buffer = io.BytesIO()  # torch would turn a full disk into an error without its number
        write(buffer)
        self._write(self._run.checkpoint(self._attempt), lambda file: file.write(buffer.getbuffer()), durable=True)
        for attempt in self._run.checkpoints():
            if attempt < self._attempt:  # behind this one, which began with the furthest of them
                self._run.checkpoint(attempt).unlink(missing_ok=True)

    def tables(self, metrics: list[dict[str, Any]], timings: list[dict[str, Any]]) -> None:
        for path, rows in ((self._run.metrics(self._attempt), metrics), (self._run.timings(self._attempt), timings)):
            text = to_csv(rows).encode()
            self._write(path, lambda file, text=text: file.write(text))  # type: ignore[misc]  # bound now, not later

    def weights(self, name: str, tensors: dict[str, Tensor], epoch: int) -> None:
        path = {"model": self._run.model, "best": self._run.best}[name](self._attempt)
        content = to_safetensors({k: v.contiguous() for k, v in tensors.items()}, {"epoch": str(epoch)})
        self._write(path, lambda file: file.write(content), durable=True)


def order_seed(seed: int) -> int:
    """The seed of the images' order and augmentation: not the weights' own, so that the two are independent."""
    return int.from_bytes(hashlib.blake2b(f"images {seed}".encode(), digest_size=4).digest())


def choose_device(name: str) -> torch.device:
    """The device of a run; `auto` takes a GPU where there is one.

    Raises:
        BadInput: it is not there.
    """
    device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadInput(f"runtime.device={name}: this machine has {torch.cuda.device_count()} CUDA devices")
    return device


def train(
    claim: Claim, runtime: Runtime, stop: Callable[[], bool], log: TextIO, screen: TextIO | None
) -> dict[str, Any]:
    """Train the claimed run to its end, from the furthest checkpoint of all its attempts; returns the summary."""
    run = claim.run
    config = run.read_config()
    build.check_targets(config)
    write_hydra(run, runtime.to_json())
    device = choose_device(runtime.device)
    torch.set_num_threads(runtime.threads or processors())
    torch.manual_seed(config["seed"])
    schedule = build.schedule(config)
    data_set = build.data_set(config)
    splits = data_set.load(Path(runtime.data_root), Path(runtime.cache_dir))
    loader, tests = loaders(data_set, splits, schedule.batch_size, order_seed(config["seed"]), device)
    model = build.network(config).to(device)
    if isinstance(model, OdeNet):
        model.load_embedding(provide(config, model.embedding, data_set, splits, Path(runtime.cache_dir)))
    checkpoint = furthest([run.checkpoint(attempt) for attempt in run.checkpoints()])
    about = f"attempt {claim.attempt} on {device}, {torch.get_num_threads()} threads"
    if checkpoint is not None:
        about += f", goes on after epoch {checkpoint['epoch']} and {checkpoint['step']} steps"
    print(f"{run.path.name}: {about}", file=log, flush=True)
    conditions = Conditions(device, stop, runtime.checkpoint_seconds, runtime.compile, runtime.channels_last)
    report = reports(log, screen, schedule.epochs, run.path.name)
    try:
        summary = fit(
            model, loader, tests, schedule, config["precision"], conditions, AttemptFiles(claim), report, checkpoint
        )
    finally:
        report.close()
    summary["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return summary


def execute(
    claim: Claim, runtime: Runtime, stop: Callable[[], bool], log: TextIO, screen: TextIO | None = None
) -> dict[str, Any]:
    """`train`, with every way to end turned into what the claim's end records: state, end, and more.

    Args:
        stop: asked after every step; true ends the attempt with a checkpoint.
        log: where the training says how it goes.
        screen: where a person watches it, too.

    Returns:
        A state of null says that the claim is lost, and nothing may be written.
    """
    try:
        summary = train(claim, runtime, stop, log, screen)
    except Stopped:
        return {"state": State.PLANNED, "end": "stopped"}
    except LostClaim as lost:
        print(lost, file=log, flush=True)
        return {"state": None, "end": "lost its claim"}
    except Exception as error:
        end = explain(error, claim)
        with contextlib.suppress(OSError):  # the disk may be full; the end is recorded in the claim as well
            print(end, file=log, flush=True)
            write_text(claim.run.error(claim.attempt), traceback.format_exc())
        return {"state": State.OUT_OF_MEMORY if is_out_of_memory(error) else State.FAILED, "end": end}
    diverged = "diverged_epoch" in summary
    if diverged:
        where = f"in epoch {summary['diverged_epoch']}, step {summary['diverged_step']}"
        print(f"diverged: the loss is NaN or infinite {where}", file=log, flush=True)
    return {
        "state": State.DIVERGED if diverged else State.DONE,
        "end": "loss is NaN or infinite" if diverged else "finished",
        "summary": summary,
    }


def is_out_of_memory(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in text or "not enough memory" in text)
    )


def explain(error: BaseException, claim: Claim) -> str:
    """One line for a failure."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        disk = claim.run.path.resolve()
        while not os.path.ismount(disk):
            disk = disk.parent
        return f"no space left on the disk mounted at {disk}; what was written before is intact"
    text = str(error).strip().splitlines()
    return text[0] if isinstance(error, BadInput) else f"{type(error).__name__}: {text[0] if text else ''}"
