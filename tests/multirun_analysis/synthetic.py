"""Synthetic sweeps: valid run directories with invented results, written without training."""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from multirun_analysis.papers.protocol import protocol
from multirun_analysis.papers.published import Number
from taunode.runs.directory import RunDirectory, SweepDirectory
from taunode.runs.files import to_yaml, write_json, write_text
from taunode.runs.record import Record
from taunode.runs.signature import signature
from taunode.runs.state import State

ONE, INVERSE_SQRT = (1.0, 0.0), (1.0, 0.5)  # (scale, exponent)
LABELS = {0.0: "", 0.25: "L^-1/4", 0.4: "L^-0.4", 0.5: "L^-1/2", 1.0: "L^-1"}
PLANNED = "2026-01-01T00:00:00+00:00"


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its state, its last epoch's test error in percent, and the whole epochs before it diverged."""

    state: str = "done"
    error: float | None = None
    whole: int = 1


def configuration(
    depth: int = 20,
    tau: tuple[float, float] = ONE,
    norm: str = "batch",
    seed: int = 0,
    epochs: int = 5,
) -> dict[str, Any]:
    """A frozen configuration as a planned run holds it."""
    scale, exponent = tau
    return {
        "arch": {
            "_target_": "taunode.models.resnet.CifarResNet",
            "depth": depth,
            "norm": norm,
            "channels": [16, 32, 64],
            "checkpoint_segments": 0,
            "width": 1.0,
            "residual": "post_activation",
        },
        "tau": {
            "_target_": "taunode.models.tau.PowerLaw",
            "scale": scale,
            "exponent": exponent,
            "blocks": "total",
            "learn": "none",
            "lr_factor": 0.1,
        },
        "embedding": None,
        "solver": None,
        "dataset": {
            "_target_": "taunode.data.digits.Digits",
            "fingerprint": "digits-8x8",
            "train": None,
            "test": None,
            "classes": 10,
            "image": [1, 8, 8],
            "holdout": 0,
            "augment": {"crop": 1, "flip": False, "mean": [0.3], "sd": [0.37]},
        },
        "schedule": {
            "_target_": "taunode.training.schedule.StepSchedule",
            "epochs": epochs,
            "batch_size": 64,
            "lr": 0.1,
            "milestones": [epochs // 2, epochs * 3 // 4],
            "factor": 0.1,
            "warmup_epochs": 0,
        },
        "optimizer": {
            "_target_": "taunode.training.optimizer.Sgd",
            "momentum": 0.9,
            "nesterov": False,
            "weight_decay": 1e-4,
            "decay": "all",
            "clip_norm": None,
        },
        "seed": seed,
        "precision": "fp32",
    }


def protocol_of(number: Number, seed: int) -> dict[str, Any]:
    """The frozen configuration of a run that can be compared with a published number."""
    config: dict[str, Any] = dict.fromkeys(("arch", "tau", "dataset", "schedule", "embedding", "solver"))
    for key, value in protocol(number).items():
        group, _, name = key.partition(".")
        if name:
            config[group] = (config.get(group) or {}) | {name: value}
        else:
            config[key] = value
    return config | {"seed": seed}


def plausible(config: dict[str, Any]) -> Outcome:
    """Something like the paper: with BN, τ=1 suffers from depth; without BN it diverges, and all is a bit worse."""
    depth, norm, exponent = config["arch"]["depth"], config["arch"]["norm"], config["tau"]["exponent"]
    if norm == "none" and exponent == 0:
        return Outcome("diverged")
    harm = max(0, depth - 50) * 1.25 if exponent == 0 else 0.0
    wobble = np.random.default_rng([config["seed"], depth]).normal() * (0.15 + 0.03 * harm)
    return Outcome(error=abs(2.0 + harm + (6.0 if norm == "none" else 0.0) + wobble))


def write_sweep(
    path: Path,
    depths: Iterable[int] = (20, 56, 110),
    taus: Iterable[tuple[float, float]] = (ONE, INVERSE_SQRT),
    norms: Iterable[str] = ("batch", "none"),
    seeds: Iterable[int] = (0, 1),
    epochs: int = 5,
    outcome: Callable[[dict[str, Any]], Outcome] = plausible,
) -> SweepDirectory:
    """Write the sweep of a whole grid."""
    configs = [
        configuration(depth, tau, norm, seed, epochs)
        for norm, depth, tau, seed in itertools.product(norms, depths, taus, seeds)
    ]
    return write_runs(path, configs, outcome)


def write_runs(
    path: Path, configs: Sequence[dict[str, Any]], outcome: Callable[[dict[str, Any]], Outcome] = plausible
) -> SweepDirectory:
    """Write the sweep of any configurations."""
    sweep = SweepDirectory(path)
    sweep.commands.mkdir(parents=True, exist_ok=True)
    sweep.runs.mkdir(exist_ok=True)
    for config in configs:
        sign = signature(config)
        size = "depth" if "depth" in config["arch"] else "layers"
        name = f"arch.{size}={config['arch'][size]},seed={config['seed']}-{sign[:8]}"
        write_run(sweep.run(name), config, sign, outcome(config))
    return sweep


def write_initialisations(path: Path, exponents: Sequence[float], seeds: Iterable[int] = (0, 1, 2)) -> SweepDirectory:
    """The sweep of `forward_stability`: growth e^(0.3 L) for β = 0, L^(2 − 4β) between, bounded from 1/2 on."""
    configs = [
        configuration(depth, (1.0, exponent), "none", seed, epochs=1)
        for depth, exponent, seed in itertools.product((20, 56, 110, 602), exponents, seeds)
    ]
    sweep = write_runs(path, configs)
    for run in sweep:
        config, record = run.read_config(), run.read_record()
        config["schedule"] = {"_target_": "taunode.training.schedule.Initialisation", "batch_size": 4}
        write_text(run.config, to_yaml(config))
        exponent, blocks = config["tau"]["exponent"], record.facts["blocks"]
        growth = np.exp(0.3 * blocks) if exponent == 0 else blocks ** max(2 - 4 * exponent, 0)
        wobble = np.exp(0.1 * np.random.default_rng([config["seed"], blocks]).normal())
        values = {"final_growth": float(growth * wobble), "final_stem_gradient": float(2 * growth / wobble)}
        record.state, record.summary = State.DONE, {"epochs": 0, "steps": 0, "seconds": 0.1, **values}
        write_json(run.done, {"attempt": 1, "state": "done", "summary": record.summary})
        write_json(run.record, record.to_json())
    return sweep


def write_run(run: RunDirectory, config: dict[str, Any], sign: str, outcome: Outcome) -> None:
    """Write one run directory in the state that `outcome` says; one attempt, unless it is planned."""
    run.path.mkdir()
    epochs = config["schedule"]["epochs"]
    record = Record(
        name=run.path.name,
        signature=sign,
        state=outcome.state,
        planned=PLANNED,
        command=None,
        overrides=[],
        facts=facts(config),
        runtime={"device": "cpu", "threads": 1},
        attempts=[],
        summary={},
    )
    write_text(run.config, to_yaml(config))
    if outcome.state != "planned":
        write_attempt(run, record, epochs, outcome)
    write_json(run.record, record.to_json())


def facts(config: dict[str, Any]) -> dict[str, Any]:
    """What planning finds out."""
    if config["tau"] is None:
        return {"layers": config["arch"]["layers"], "parameters": 80_458}
    blocks = (config["arch"]["depth"] - 2) // 2
    scale, exponent = config["tau"]["scale"], config["tau"]["exponent"]
    label = f"{scale:g}" if not exponent else LABELS[exponent] if scale == 1 else f"{scale:g}·{LABELS[exponent]}"
    return {
        "tau": label,
        "tau_value": scale * blocks**-exponent,
        "blocks": blocks,
        "parameters": 32_000 * blocks,
        "steps_per_epoch": 22,
    }


def write_attempt(run: RunDirectory, record: Record, epochs: int, outcome: Outcome) -> None:
    """Claim, metrics, timings, and the end of attempt 1, noted in `record`."""
    done = outcome.state == "done"
    whole = {"done": epochs, "diverged": outcome.whole}.get(outcome.state, epochs // 2)
    final = 50.0 if outcome.error is None else outcome.error
    errors = write_epochs(run, 1, whole, epochs, final, noise(record.signature, epochs))
    run.link(1)
    attempt: dict[str, Any] = {
        "attempt": 1,
        "owner": {"host": "elsewhere", "boot": None, "namespace": None, "pid": 1, "started": None, "slurm": None},
        "started": PLANNED,
        "lease": 120.0,
        "checkpoints": [],
    }
    if outcome.state != "running":
        attempt |= {"ended": PLANNED, "state": outcome.state, "end": outcome.state, "progressed": True}
    if outcome.state in ("done", "diverged"):
        record.summary = attempt["summary"] = {
            "epochs": whole,
            "steps": 22 * whole,
            "seconds": 1.5 * whole,
            "device": "cpu",
        }
        if errors:  # what diverges in its first epoch has none
            attempt["summary"] |= {
                "final_train_loss": 0.01,
                "final_test_error": errors[-1],
                "best_test_error": min(errors),
                "best_epoch": 1 + errors.index(min(errors)),
            }
        attempt["summary"] |= {} if done else {"diverged_epoch": whole + 1, "diverged_step": 1}
        write_json(run.done, {"attempt": 1, "state": outcome.state, "summary": record.summary})
    write_json(run.claim(1), attempt)
    record.attempts = [attempt]


def noise(sign: str, epochs: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A curve's wiggle, made of the run's signature; one of 64, because drawing costs more than writing."""
    return _noises(epochs)[int(hashlib.blake2b(sign.encode(), digest_size=1).hexdigest(), 16) % 64]


@cache
def _noises(epochs: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(0).normal(scale=0.02, size=(64, epochs))


def write_epochs(
    run: RunDirectory, attempt: int, whole: int, epochs: int, final: float, wiggle: np.ndarray[Any, Any]
) -> list[float]:
    """metrics.<k>.csv and timings.<k>.csv of the first `whole` epochs; gives back the test errors."""
    left = 1 - np.arange(1, epochs + 1) / epochs
    error = final + (90 - final) * left**2 * (1 + wiggle)
    error[-1] = final
    columns = np.column_stack([0.1 * (1 + left), error / 30, error * 0.9, error / 28, error])[:whole]
    lines = [f"{epoch},{a:.6g},{b!r},{c!r},{d!r},{e!r}" for epoch, (a, b, c, d, e) in enumerate(columns.tolist(), 1)]
    write_text(run.metrics(attempt), "\n".join(["epoch,lr,train_loss,train_error,test_loss,test_error", *lines, ""]))
    timings = [f"{epoch},1.5,940.0,312.5" for epoch in range(1, whole + 1)]
    write_text(run.timings(attempt), "\n".join(["epoch,seconds,images_per_second,peak_memory_mb", *timings, ""]))
    return [float(value) for value in columns[:, 4]]
