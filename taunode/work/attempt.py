"""Execute one attempt at a run in this process: data, network, training, results; every way it can end."""

import contextlib
import errno
import hashlib
import io
import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import torch
import torch._dynamo  # the first optimizer would import it: 1.3 s, once in a worker instead of in every child
from safetensors.torch import save as to_safetensors
from torch import Tensor
from torch import distributed as dist

from taunode import build
from taunode.data.loader import loaders
from taunode.errors import BadInput
from taunode.models.ode import OdeNet
from taunode.runs.claim import Claim, LostClaim
from taunode.runs.config import read_buildable
from taunode.runs.directory import RunDirectory
from taunode.runs.files import write_aside, write_text
from taunode.runs.runtime import Runtime, processors
from taunode.runs.state import State
from taunode.training.checkpoint import furthest
from taunode.training.loop import Conditions, Stopped, fit
from taunode.training.metrics import to_csv
from taunode.training.progress import Quiet, Report, reports
from taunode.training.schedule import Initialisation
from taunode.training.stability import measure_run
from taunode.work.compiled import share_code
from taunode.work.cost import Cost
from taunode.work.embedding import provide
from taunode.work.hydra_files import write_hydra
from taunode.work.member import Member, joined


class AttemptFiles:
    """Where a training's results go: files that carry the attempt's number, each written while the claim is held."""

    def __init__(self, claim: Claim) -> None:
        self._claim, self._run, self._attempt = claim, claim.run, claim.attempt

    def begin(self) -> dict[str, Any] | None:
        """Write what belongs to the start; returns the furthest checkpoint of all attempts."""
        write_hydra(self._run)
        return furthest(self._run.open_checkpoints())

    def failed(self, trace: str) -> None:
        write_text(self._run.error(self._attempt), trace)

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

    def probes(self, table: bytes) -> None:
        self._write(self._run.probes(self._attempt), lambda file: file.write(table))


class NoFiles:
    """Of several processes that train one run, the leader alone writes."""

    def begin(self) -> None:
        """The leader hands its checkpoint out."""

    def checkpoint(self, write: Callable[[BinaryIO], object]) -> None:
        """Nothing."""

    def tables(self, metrics: list[dict[str, Any]], timings: list[dict[str, Any]]) -> None:
        """Nothing."""

    def weights(self, name: str, tensors: dict[str, Tensor], epoch: int) -> None:
        """Nothing."""

    def probes(self, table: bytes) -> None:
        """Nothing."""

    def failed(self, trace: str) -> None:
        """The leader hears of it; the trace goes to the log that all share."""
        print(trace, flush=True)


def order_seed(seed: int) -> int:
    """The seed of the images' order and augmentation: not the weights' own, so that the two are independent."""
    return int.from_bytes(hashlib.blake2b(f"images {seed}".encode(), digest_size=4).digest())


def choose_device(name: str, number: int | None = None) -> torch.device:
    """The device of a run; `auto` takes a GPU where there is one. Of several processes each takes its own `number`.

    Raises:
        BadInput: it is not there.
    """
    device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
    if device.type == "cuda" and number is not None:
        device = torch.device("cuda", number)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadInput(f"runtime.device={name}: this machine has {torch.cuda.device_count()} CUDA devices")
    return device


def check_single_image(config: Mapping[str, Any]) -> None:
    """See that an epoch can end with a batch of one image.

    Raises:
        BadInput: batch normalisation has one value a channel of it, which has no variance.
    """
    data = config["dataset"]
    image = torch.empty(1, data["channels"], data["image_size"], data["image_size"], device="meta")
    try:
        build.network(config, device="meta").train()(image)
    except ValueError as error:
        raise BadInput(
            f"schedule.batch_size={config['schedule']['batch_size']} leaves a last batch of one image, which batch "
            "normalisation cannot take where features are 1×1: choose another batch size, or a dataset.holdout"
        ) from error


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def train(
    run: RunDirectory,
    attempt: int,
    files: AttemptFiles | NoFiles,
    runtime: Runtime,
    stop: Callable[[], bool],
    log: TextIO,
    screen: TextIO | None,
    member: Member | None,
) -> dict[str, Any]:
    """Train a run to its end, from the furthest checkpoint of all its attempts; returns the summary."""
    config = read_buildable(run.config)
    device = choose_device(runtime.device, None if member is None else member.local_rank)
    torch.set_num_threads(runtime.threads or processors())
    torch.manual_seed(config["seed"])
    tf32 = config["precision"] == "tf32"  # torch allows it to convolutions unless told
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    assert runtime.compile != "auto"  # decided with the claim
    assert runtime.channels_last != "auto"
    if runtime.compile:
        share_code(Path(runtime.cache_dir))
    schedule, optimizer = build.schedule(config), build.optimizer(config)
    if isinstance(schedule, Initialisation):
        files.begin()
        network = build.network(config).to(device)
        print(f"{run.path.name}: at initialisation, attempt {attempt} on {device}", file=log, flush=True)
        seed = order_seed(config["seed"])
        summary = measure_run(network, schedule, config["dataset"], seed, config["precision"], device, files)
        return summary | {"device": device_name(device)}
    assert optimizer is not None  # the schedule trains
    data_set = build.data_set(config)
    splits = data_set.load(Path(runtime.data_root), Path(runtime.cache_dir))
    with joined(member, device) as team:
        loader, tests = loaders(
            data_set,
            splits,
            schedule.batch_size,
            order_seed(config["seed"]),
            device,
            team.share,
            runtime.loader_workers or 0,
        )
        if loader.samples % schedule.batch_size == 1:
            check_single_image(config)
        model = build.network(config).to(device)
        if isinstance(model, OdeNet):
            model.load_embedding(provide(config, model.embedding, data_set, splits, Path(runtime.cache_dir)))
        model = team.synchronised(model, device)
        checkpoint = team.of_leader(files.begin())
        report: Report = Quiet(schedule.epochs)
        if team.leads:
            threads = torch.get_num_threads()
            many = f", {team.share.world} processes" if team.share.world > 1 else ""
            about = f"attempt {attempt} on {device}, {threads} thread{'s' * (threads > 1)}{many}"
            if device.type == "cuda":
                about += f", TF32 {'on' if tf32 else 'off'}"
            if checkpoint is not None:
                about += f", goes on after epoch {checkpoint['epoch']} and {checkpoint['step']} steps"
            print(f"{run.path.name}: {about}", file=log, flush=True)
            report = reports(log, screen, schedule.epochs, run.path.name)
        conditions = Conditions(
            device,
            stop,
            runtime.checkpoint_seconds,
            runtime.compile,
            runtime.channels_last,
            team,
            runtime.probes,
            Cost(config, device, team.share.world, Path(runtime.cache_dir)) if team.leads else None,
        )
        try:
            summary = fit(
                model,
                loader,
                tests,
                schedule,
                optimizer,
                config["precision"],
                conditions,
                files,
                report,
                checkpoint,
                top5=data_set.top5,
                rule=build.parametrization(config),
            )
        finally:
            report.close()
    if isinstance(model, OdeNet):
        summary["embedding_digest"] = model.embedding.digest
    return summary | {"device": device_name(device)}


def execute(
    run: RunDirectory,
    attempt: int,
    files: AttemptFiles | NoFiles,
    runtime: Runtime,
    stop: Callable[[], bool],
    log: TextIO,
    screen: TextIO | None = None,
    member: Member | None = None,
) -> dict[str, Any]:
    """`train`, with every way to end turned into what the claim's end records: state, end, and more.

    Args:
        attempt: its number.
        files: where the results go.
        stop: asked after every step; true ends the attempt with a checkpoint.
        log: where the training says how it goes.
        screen: where a person watches it, too.
        member: this process's place among several that train the run together.

    Returns:
        A state of null says that the claim is lost, and nothing may be written.
    """
    try:
        summary = train(run, attempt, files, runtime, stop, log, screen, member)
    except Stopped:
        return {"state": State.PLANNED, "end": "stopped"}
    except LostClaim as lost:
        print(lost, file=log, flush=True)
        return {"state": None, "end": "lost its claim"}
    except Exception as error:
        if member is not None and lost_a_process(error):
            print(error, file=log, flush=True)
            return {"state": State.PLANNED, "end": "another process of the run has gone", "killed": True}
        end = reason(error, run)
        with contextlib.suppress(OSError):  # the disk may be full; the end is recorded in the claim as well
            print(end, file=log, flush=True)
            files.failed(traceback.format_exc())
        return {"state": State.OUT_OF_MEMORY if is_out_of_memory(error) else State.FAILED, "end": end}
    diverged = "diverged_epoch" in summary
    if diverged and isinstance(files, AttemptFiles):
        where = f"in epoch {summary['diverged_epoch']}, step {summary['diverged_step']}"
        print(f"diverged: the loss is NaN or infinite {where}", file=log, flush=True)
    return {
        "state": State.DIVERGED if diverged else State.DONE,
        "end": "loss is NaN or infinite" if diverged else "finished",
        "summary": summary,
    }


def lost_a_process(error: BaseException) -> bool:
    """Whether a collective operation failed, as it does when another process of the group dies."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def is_out_of_memory(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in text or "not enough memory" in text)
    )


def reason(error: BaseException, run: RunDirectory) -> str:
    """One line for a failure."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        disk = run.path.resolve()
        while not os.path.ismount(disk):
            disk = disk.parent
        return f"no space left on the disk mounted at {disk}; what was written before is intact"
    text = str(error).strip().splitlines()
    return text[0] if isinstance(error, BadInput) else f"{type(error).__name__}: {text[0] if text else ''}"
