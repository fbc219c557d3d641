"""Sweeps of every shape but depth × τ × norm: a name, and a function that writes it at a path."""

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from synthetic import (
    INVERSE_SQRT,
    ONE,
    Outcome,
    configuration,
    write_initialisations,
    write_runs,
)

from taunode.runs.files import to_yaml, write_json

Config = dict[str, Any]


def changed(config: Config, **keys: Any) -> Config:
    """A configuration with other values; `schedule__lr=1` is the key `schedule.lr`."""
    for key, value in keys.items():
        *groups, last = key.split("__")
        inner = config
        for group in groups:
            inner[group] = dict(inner.get(group) or {})
            inner = inner[group]
        inner[last] = value
    return config


def product(**axes: Sequence[Any]) -> list[Config]:
    return [
        changed(configuration(), **dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())
    ]


def valley(config: Config) -> Outcome:
    """Large rates diverge in deep networks; between there is a best one."""
    rate, depth = config["schedule"]["lr"], config["arch"].get("depth") or 20
    if rate * depth > 60:
        return Outcome("diverged", whole=0)
    return Outcome(error=5 + 4 * abs(math.log10(rate * 10)) + depth / 40 + 0.3 * config["seed"])


def wavy(config: Config) -> Outcome:
    """A number that depends on everything."""
    digest = sum(map(ord, json.dumps(config, sort_keys=True, default=str)))
    return Outcome(error=5 + digest % 17 / 3 + 0.2 * config["seed"])


def node(layers: int, solver: str, seed: int, kind: str = "RkhsNode") -> Config:
    config = configuration(seed=seed)
    config["arch"] = {"_target_": f"taunode.models.ode.{kind}", "layers": layers, "channels": 16}
    config["solver"] = {"_target_": "taunode.models.solver.FixedSolver", "method": solver, "adjoint": False}
    return config | {"tau": None}


def optimizer(kind: str, seed: int) -> Config:
    more = {"sgd": {"momentum": 0.9}, "adamw": {"betas": [0.9, 0.999]}, "muon": {"momentum": 0.95}}[kind]
    return configuration(seed=seed) | {"optimizer": {"_target_": f"taunode.training.optimizer.{kind.title()}", **more}}


def own_network(width: int, seed: int) -> Config:
    config = configuration(seed=seed) | {"tau": None}
    return config | {"arch": {"_target_": "mine.Net", "width": width, "layers": 4}}


def per_block(depth: int, kind: str, seed: int) -> Config:
    config = configuration(depth, seed=seed)
    return config | {"tau": {"_target_": f"taunode.models.tau.{kind}", "decay": 0.5, "learn": "none"}}


def hydra(path: Path, configs: Sequence[Config], rows: Callable[[Config], str], name: str = "metrics.csv") -> None:
    """A multirun of another program."""
    for number, config in enumerate(configs):
        job = path / str(number)
        (job / ".hydra").mkdir(parents=True)
        (job / ".hydra" / "config.yaml").write_text(to_yaml(config))
        (job / name).write_text(rows(config))


def write_per_block(path: Path) -> None:
    """τ has a value a block: there is no single number, and the label says the rule."""
    axes = itertools.product((20, 56), ("Decreasing", "Growing"), (0, 1))
    configs = [per_block(depth, kind, seed) for depth, kind, seed in axes]
    for config in configs:
        config["tau"] |= {"scale": 1.0, "exponent": 0.5}  # for the writer's facts only
    for run in write_runs(path, configs, wavy):
        record = run.read_record()
        del record.facts["tau_value"]
        kind = run.read_config()["tau"]["_target_"].rpartition(".")[2].lower()
        record.facts["tau"] = f"{kind} over the blocks"
        write_json(run.record, record.to_json())
        config = run.read_config()
        del config["tau"]["scale"], config["tau"]["exponent"]
        run.config.write_text(to_yaml(config))


def accuracy(config: Config) -> str:
    top = 60 + 10 * config["model"]["layers"] - 100 * abs(config["lr"] - 0.01)
    return "".join(f'{{"step": {step}, "val/acc": {top - 20 / step}, "loss": {1 / step}}}\n' for step in (1, 2, 3, 4))


def losses(config: Config) -> str:
    return "epoch,train_loss,val_loss\n" + "".join(
        f"{epoch},{2 / epoch},{2 / epoch + config['weight'] + (config['loss'] == 'l1')}\n" for epoch in range(1, 6)
    )


def grid(**axes: Sequence[Any]) -> list[Config]:
    found = []
    for values in itertools.product(*axes.values()):
        config: Config = {}
        for key, value in zip(axes, values, strict=True):
            changed(config, **{key: value})
        found.append(config)
    return found


RATES = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0)
MOMENTA = {"sgd": (0, 1, 2), "adamw": (0, 1, 2), "muon": (0, 1)}

SHAPES: dict[str, Callable[[Path], Any]] = {
    "lr × depth": lambda path: write_runs(
        path, product(schedule__lr=RATES, arch__depth=(20, 56, 110), seed=(0, 1, 2)), valley
    ),
    "lr × depth × norm × τ": lambda path: write_runs(
        path,
        [
            changed(configuration(depth, tau, norm, seed), schedule__lr=rate)
            for rate in RATES
            for depth in (20, 110)
            for tau in (ONE, INVERSE_SQRT)
            for norm in ("batch", "none")
            for seed in (0, 1)
        ],
        valley,
    ),
    "solver × layers": lambda path: write_runs(
        path, [node(n, s, seed) for n in (5, 10, 20) for s in ("euler", "midpoint", "rk4") for seed in (0, 1, 2)], wavy
    ),
    "solver × two layers × network": lambda path: write_runs(
        path,
        [node(n, s, 0, kind) for n in (5, 10) for s in ("euler", "rk4") for kind in ("RkhsNode", "ShlNode")],
        wavy,
    ),
    "optimizer × seed": lambda path: write_runs(
        path, [optimizer(kind, seed) for kind, seeds in MOMENTA.items() for seed in seeds], wavy
    ),
    "one number": lambda path: write_runs(path, product(optimizer__weight_decay=(0.0, 1e-4, 5e-4), seed=(0, 1)), wavy),
    "one word": lambda path: write_runs(path, product(arch__norm=("batch", "none", "layer"), seed=(0, 1, 2)), wavy),
    "five keys": lambda path: write_runs(
        path,
        product(
            schedule__lr=(0.01, 0.1),
            optimizer__momentum=(0.0, 0.9),
            schedule__batch_size=(32, 64, 128),
            arch__norm=("batch", "none"),
            dataset__flip=(True, False),
        ),
        wavy,
    ),
    "many by many": lambda path: write_runs(
        path,
        product(schedule__lr=[10 ** (-3 + place / 6) for place in range(20)], schedule__batch_size=(16, 32, 64, 128)),
        wavy,
    ),
    "two data sets": lambda path: write_runs(
        path,
        [
            changed(configuration(20, tau, seed=seed), dataset__name=name, dataset__fingerprint=f"{name}-1")
            for name in ("digits", "mnist")
            for tau in (ONE, INVERSE_SQRT)
            for seed in (0, 1)
        ],
        wavy,
    ),
    "pairs, no grid": lambda path: write_runs(
        path,
        [
            changed(configuration(seed=seed), schedule__lr=rate, schedule__batch_size=size)
            for rate, size in ((0.1, 32), (0.2, 64), (0.4, 128))
            for seed in (0, 1)
        ],
        wavy,
    ),
    "lists": lambda path: write_runs(
        path, product(schedule__milestones=([], [2], [2, 4]), schedule__lr=(0.1, 0.2)), wavy
    ),
    "yes, no and null": lambda path: write_runs(
        path, product(arch__zero_init=(True, False), schedule__clip=(None, 0.5, 1.0)), wavy
    ),
    "seeds only": lambda path: write_runs(path, [configuration(seed=seed) for seed in range(5)], wavy),
    "one run": lambda path: write_runs(path, [configuration()], wavy),
    "own network": lambda path: write_runs(
        path, [own_network(width, seed) for width in (8, 16, 32, 64) for seed in (0, 1)], wavy
    ),
    "τ a block": write_per_block,
    "planned": lambda path: write_runs(
        path, product(schedule__lr=(0.1, 0.2, 0.4), arch__norm=("batch", "none")), lambda _: Outcome("planned")
    ),
    "all diverged": lambda path: write_runs(
        path, product(schedule__lr=(0.1, 0.2, 0.4), seed=(0, 1)), lambda _: Outcome("diverged", whole=0)
    ),
    "initialisation": lambda path: write_initialisations(path, (0.0, 0.25, 0.5, 1.0)),
    "another program's accuracies": lambda path: hydra(
        path, grid(model__layers=(1, 2, 3), lr=(0.001, 0.01, 0.1), seed=(0, 1)), accuracy, "log.jsonl"
    ),
    "another program without seeds": lambda path: hydra(path, grid(loss=("l1", "l2"), weight=(0.1, 0.2)), losses),
    "another program's one job": lambda path: hydra(path, grid(loss=("l1",), weight=(0.1,)), losses),
}
