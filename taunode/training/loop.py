"""The training loop: schedule, forward, check, backward, step, evaluate, record, checkpoint.

The loss is the mean cross-entropy of a batch: Zhang et al., arXiv 1903.07120; Barboni et al., arXiv 2112.05531.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from taunode.models.network import Network
from taunode.models.solver import StepUnderflow
from taunode.training.checkpoint import Files, Loader, Training
from taunode.training.metrics import Means, evaluate, sample_losses
from taunode.training.optimizer import Optimizer
from taunode.training.parametrization import Parametrization
from taunode.training.probes import Batch, Probes
from taunode.training.progress import Report
from taunode.training.readback import Readback
from taunode.training.schedule import Schedule
from taunode.training.stopwatch import Cost, Stopwatch
from taunode.training.team import Team

Precision = Literal["fp32", "tf32", "bf16", "fp64"]
COSTS = ("gflop_per_second", "percent_of_peak")  # of the timings, also in the summary


class Stopped(Exception):  # noqa: N818 -- asked for, not an error
    """The training was asked to stop; it has saved itself and can go on."""


@dataclass(frozen=True)
class Conditions:
    """What surrounds a training without being part of its mathematics.

    Attributes:
        stop: asked after every step; true ends the training with a checkpoint.
        checkpoint_seconds: the most work, in seconds, that may be lost.
        team: the processes that train this network together.
        probes: after how many steps the network's parts are looked at (`taunode.training.probes`); None: never.
        cost: what more the timings of an epoch say.
    """

    device: torch.device
    stop: Callable[[], bool]
    checkpoint_seconds: float
    compile: bool | Literal["reduce-overhead"]
    channels_last: bool
    team: Team = field(default_factory=Team)
    probes: int | None = None
    cost: Cost | None = None


def fit(
    model: Network,
    loader: Loader,
    tests: Mapping[str, Iterable[tuple[Tensor, Tensor]]],
    schedule: Schedule,
    optimizer: Optimizer,
    precision: Precision,
    conditions: Conditions,
    files: Files,
    report: Report,
    checkpoint: dict[str, Any] | None = None,
    top5: bool = False,
    rule: Parametrization | None = None,
) -> dict[str, Any]:
    """Train a network from the start, or from a checkpoint, to the end of its schedule.

    Args:
        loader: this process's share of the training batches: inputs (batch, channels, height, width), labels (batch,).
        tests: what is evaluated after every epoch, shares as well: `test`, and `validation` where there is a holdout,
            which then chooses the best epoch.
        precision: `bf16` runs the forward pass under autocast, weights stay float32; `fp64` makes all of it float64;
            `tf32` is `fp32` for whoever has allowed TF32 to torch.
        top5: also report the error of the five best answers.
        rule: what each parameter's learning rate is multiplied by; nothing, if none.

    Returns:
        The summary; with `diverged_epoch` and `diverged_step` where the loss became NaN or infinite.

    Raises:
        Stopped: `conditions.stop()` became true.
    """
    device, team = conditions.device, conditions.team
    if precision == "fp64":
        model = model.double()
    if conditions.channels_last:
        model = model.to(memory_format=torch.channels_last)
    updates = optimizer.updates(model, rule)
    state = Training(model, updates, loader, Means(device, top5), probes=Probes(conditions.probes))
    if checkpoint is not None:
        state.restore(checkpoint)
    network: nn.Module = model
    if conditions.compile:
        mode = conditions.compile if isinstance(conditions.compile, str) else None
        network = cast(nn.Module, torch.compile(model, mode=mode))
    replica = team.replica(network, device)
    dtype = next(model.parameters()).dtype
    autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
    chosen_by = "validation_error" if "validation" in tests else "test_error"
    watch = Stopwatch(state, conditions.cost)
    readback = Readback(device)
    files.tables(state.metrics, state.timings)

    def rate(step: int) -> float:
        """The learning rate of a step of the present epoch."""
        return schedule.rate(state.epoch + step / len(loader), state.epoch + (step + 1) / len(loader))

    def save() -> None:
        watch.lap()
        files.checkpoint(state.save)
        write_probes(state, files)
        watch.saved()

    def pause(stop: bool, due: bool) -> None:
        """Save if that is due or the training shall stop."""
        if stop or due:
            save()
        if stop:
            raise Stopped

    try:
        while state.epoch < schedule.epochs:
            model.train()
            for inputs, labels in loader:  # the rest of the epoch under way, if it was cut
                with autocast:
                    logits = replica(inputs.to(dtype))
                losses = sample_losses(logits, labels)
                sums = state.means.sums(losses.detach(), logits.detach(), labels)
                sums, flags = team.sum_and_any(
                    sums, conditions.stop(), watch.unsaved() >= conditions.checkpoint_seconds
                )
                readback.send(torch.cat((sums[:2], flags)))
                updates.zero_grad()
                share = (team.share.world / sums[0]).to(losses.dtype)
                (losses.sum() * share).backward()  # the team's mean of these: the batch's mean
                samples, total, stop, due = readback.read()  # now that the device is at work on the backward pass
                if not math.isfinite(total):  # before the step: the parameters kept are the last finite ones
                    watch.lap()
                    return finish(state, files, diverged=True)
                batch = Batch(inputs.to(dtype), labels, samples, autocast, team)
                with state.probes.around(model, state.epoch, state.epoch * len(loader) + state.step, batch):
                    updates.step(rate(state.step))
                state.means.add(sums)
                state.step += 1
                watch.images += round(samples)
                report.step(state.epoch, state.step / len(loader), watch.rate(), state.means)
                pause(stop > 0, due > 0)

            images_per_second = watch.rate()
            row: dict[str, Any] = {"epoch": state.epoch + 1, "lr": float(f"{rate(len(loader) - 1):.12g}")}
            row |= {f"train_{name}": value for name, value in state.means.read().items()}
            model.eval()
            for name, batches in tests.items():
                with autocast:
                    found = evaluate(network, batches, Means(device, top5), dtype, team)
                row |= {f"{name}_{measure}": value for measure, value in found.items()}
            if (tau := model.learned_tau()) is not None:
                row["tau"] = tau
            row |= model.extra_metrics()
            state.end_epoch(row, better=state.best is None or row[chosen_by] < state.best[chosen_by])
            state.timings.append(watch.row(images_per_second))
            files.tables(state.metrics, state.timings)
            write_probes(state, files)
            report.epoch(row, images_per_second)
            if state.epoch < schedule.epochs:
                # Rarer than epochs where they are short: the last checkpoint is fresh.
                pause(*team.any(conditions.stop(), watch.unsaved() >= conditions.checkpoint_seconds / 10))
    except StepUnderflow as underflow:  # an adaptive solver cannot follow the network any more
        watch.lap()
        return finish(state, files, diverged=True) | {"diverged_time": underflow.time}
    watch.lap()
    if not math.isfinite(state.metrics[-1]["test_loss"]):  # no step comes after the last one to find what it did
        return finish(state, files) | {"diverged_epoch": state.epoch, "diverged_step": len(loader)}
    return finish(state, files)


def write_probes(state: Training, files: Files) -> None:
    if len(state.probes.rows):
        files.probes(state.probes.to_parquet())


def finish(state: Training, files: Files, diverged: bool = False) -> dict[str, Any]:
    """Write the weights of the last and of the best epoch, and sum the training up."""
    steps = state.epoch * len(state.loader) + state.step
    summary: dict[str, Any] = {"epochs": state.epoch, "steps": steps, "seconds": round(state.seconds, 3)}
    last = state.metrics[-1] if state.metrics else {}
    summary |= {f"final_{name}": value for name, value in last.items() if name not in ("epoch", "lr")}
    if state.timings:  # of the last epoch: the first may have waited for something
        last_timing = state.timings[-1].items()
        summary |= {name: value for name, value in last_timing if name in COSTS and value is not None}
    if state.best is not None:
        best = {name: value for name, value in state.best.items() if name.endswith("_error")}
        summary |= {f"best_{name}": value for name, value in best.items()} | {"best_epoch": state.best["epoch"]}
        files.weights("best", state.best_weights, state.best["epoch"])
    if diverged:
        summary |= {"diverged_epoch": state.epoch + 1, "diverged_step": state.step + 1}
    files.weights("model", state.weights(), state.epoch)
    write_probes(state, files)
    return summary
