"""Published numbers, each with its source: `published.csv` has a line a number.

- The columns that are keys of a configuration say which networks the number is of.
- `role` is `published` (a number of one of the two papers) or `reference` (of others, shown beside ours without a
  verdict).
- `statistic` says what was averaged: the `last` epoch, the `best` one, or `unknown` where the source does not say.
- `n` counts all seeds, those that diverged included: the mean of the last epoch is over n − diverged of them; best
  epochs are of all n, because what diverges late has had a best epoch before. Empty: not published.
- `rounding`: what was measured is within this of the number.
- `margin`: a difference that does not matter, in percent points: one published sd (of the last epoch where that of the
  best is not published), or a fortieth of the number if that is more, rounded up to 0.05. It is fixed here, before
  there are runs to be judged by it.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

import yaml

from multirun_analysis.stats.sample import Sample


class Statistic(StrEnum):
    LAST = "last"
    BEST = "best"
    UNKNOWN = "unknown"


class Role(StrEnum):
    PUBLISHED = "published"
    REFERENCE = "reference"


@dataclass(frozen=True)
class Number:
    """One published number.

    Attributes:
        figure: where it is from, in short.
        experiment: the one under conf/experiment that gives ours.
        position: the keys of a configuration that say which networks it is of, with their values.
        value: the column of a sweep's runs that it is compared with.
        statistic: what was averaged.
        mean, sd: in percent; sd is NaN where it was not published.
        n: of all seeds; 0 where it was not published.
        diverged: of these seeds; None where it was not published.
        rounding, margin: in percent points; margin is NaN of a reference.
    """

    figure: str
    experiment: str
    role: Role
    position: Mapping[str, Any]
    value: str
    statistic: Statistic
    mean: float
    sd: float
    n: int
    diverged: int | None
    rounding: float
    margin: float
    source: str

    @property
    def sample(self) -> Sample:
        """What the mean is over."""
        gone = 0 if self.statistic is Statistic.BEST else self.diverged or 0
        return Sample(max(self.n - gone, 0), self.mean, self.sd)

    @property
    def tau(self) -> str:
        """The label of its τ, as in a sweep's column `tau`; empty where it has none."""
        if "tau.exponent" not in self.position:
            return ""
        scale, exponent = self.position["tau.scale"], self.position["tau.exponent"]
        if exponent == 0:
            return f"{scale:g}"
        power = "L^-1/2" if exponent == 0.5 else f"L^-{exponent:g}"
        return power if scale == 1 else f"{scale:g}·{power}"

    @property
    def words(self) -> str:
        """Which networks: `RkhsNode layers=5 channels=32 passes=0`."""
        keys = {key.rpartition(".")[2]: value for key, value in self.position.items() if not key.startswith("tau.")}
        keys |= {"τ": self.tau} if self.tau else {}
        network = str(keys.pop("_target_")).rpartition(".")[2]
        return " ".join([network, *(f"{key}={value}" for key, value in keys.items())])


@cache
def published() -> tuple[Number, ...]:
    """All published numbers, in the order of the file."""
    text = resources.files("multirun_analysis.papers").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(_number(line) for line in csv.DictReader(text.splitlines()))


def _number(line: Mapping[str, str]) -> Number:
    return Number(
        figure=line["figure"],
        experiment=line["experiment"],
        role=Role(line["role"]),
        position={key: yaml.safe_load(text) for key, text in line.items() if "." in key and text},
        value=line["value"],
        statistic=Statistic(line["statistic"]),
        mean=float(line["mean"]),
        sd=float(line["sd"] or math.nan),
        n=int(line["n"] or 0),
        diverged=int(line["diverged"]) if line["diverged"] else None,
        rounding=float(line["rounding"]),
        margin=float(line["margin"] or math.nan),
        source=line["source"],
    )
