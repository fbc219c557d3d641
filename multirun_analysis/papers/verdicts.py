"""Verify: a line a published number, with ours, the difference and a verdict.

- `reproduced`: at least three seeds, and the means differ by at most 2.5 standard errors of their difference, or by
  at most 0.15 percent points. A published sd that is missing counts as none: the error is then ours alone.
- `differs`: at least three seeds, and they do not.
- `too few seeds`: fewer than three have a value.
- `not run`: the sweep has no such network.
- `not comparable`: it has, but a key of the protocol is another than the experiment's.

Divergence has lines of its own where ours or theirs diverged: k of n seeds against k of n, by Fisher's exact test,
`differs` where p < 0.05. Three seeds against the published 19 of 20 so are reproduced by two or three that diverge.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import pandas as pd

from multirun_analysis.cell.grid import NONE
from multirun_analysis.labels.values import number as in_digits
from multirun_analysis.papers.published import Number, Role, protocol, published
from multirun_analysis.stats.sample import Sample, error_of_difference, fisher_exact
from taunode.runs.state import RESULTS, State

SEEDS = 3  # at least, for a verdict
ERRORS, POINTS = 2.5, 0.15  # standard errors, percent points
SIGNIFICANT = 0.05
SHOWN = 3  # keys
DIVERGED = "diverged"
HEADINGS = ("figure", "networks", "value", "ours", "published", "difference", "verdict")


class Verdict(StrEnum):
    REPRODUCED = "reproduced"
    DIFFERS = "differs"
    TOO_FEW = "too few seeds"
    NOT_RUN = "not run"
    NOT_COMPARABLE = "not comparable"
    REFERENCE = "reference"  # another paper's number: shown, not judged


@dataclass(frozen=True)
class Ours:
    """Our runs of a published number's networks.

    Attributes:
        sample: of those that have the value.
        runs, finished, diverged: how many of them there are.
    """

    sample: Sample
    runs: int
    finished: int
    diverged: int


@dataclass(frozen=True)
class Line:
    """One published number beside ours.

    Attributes:
        value: what is compared: a column of the sweep's runs, or `diverged`.
        ours: None where there are no comparable runs.
        differing: of `not comparable`: the keys, each with ours and the protocol's value.
    """

    number: Number
    value: str
    ours: Ours | None
    verdict: Verdict
    differing: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def difference(self) -> float:
        """Ours − published, in percent points; NaN where there is none."""
        return math.nan if self.ours is None or self.value == DIVERGED else self.ours.sample.mean - self.number.mean

    @property
    def reason(self) -> str:
        """The keys in which the protocol is another one, those a user chose before what follows from them."""
        keys = sorted(self.differing, key=lambda key: (key.endswith("._target_"), not key.endswith(".name")))
        said = [f"{key} {_literal(self.differing[key][0])}, not {_literal(self.differing[key][1])}" for key in keys]
        more = [f"… ({len(said) - SHOWN} more)"] if len(said) > SHOWN else []
        return "; ".join([*said[:SHOWN], *more])

    def texts(self) -> tuple[str, ...]:
        """What stands below `HEADINGS`."""
        number, ours = self.number, self.ours
        if self.value == DIVERGED:
            published, here = f"{number.diverged}/{number.n}", f"{ours.diverged}/{ours.finished}" if ours else NONE
        else:
            published, here = _in_words(number.sample, self.value), _in_words(ours.sample, self.value) if ours else NONE
        if ours and ours.runs > ours.finished:
            here += f", {ours.runs - ours.finished} unfinished"
        difference = NONE if math.isnan(self.difference) else f"{self.difference:+.2f}"
        verdict = f"{self.verdict}: {self.reason}" if self.reason else str(self.verdict)
        return number.figure, number.words, self.value, here, published, difference, verdict


def verify(runs: pd.DataFrame, everything: bool = False) -> list[Line]:
    """The verdicts on a sweep.

    Args:
        runs: `Sweep.runs`, or some rows of it.
        everything: also the experiments of which the sweep has no run.
    """
    lines = []
    judged: list[tuple[str, Mapping[str, Any]]] = []
    for number in published() if everything else belonging(runs):
        found = at(runs, number.position)
        line = _line(number, found)
        lines.append(line)
        place = (number.experiment, number.position)
        if place not in judged and (about := _divergence(line)):
            judged.append(place)
            lines.append(about)
    return lines


def belonging(runs: pd.DataFrame) -> list[Number]:
    """The published numbers of the experiments of which there are runs, whatever protocol these have."""
    experiments = {number.experiment for number in published() if len(at(runs, number.position))}
    return [number for number in published() if number.experiment in experiments]


def at(runs: pd.DataFrame, keys: Mapping[str, Any]) -> pd.DataFrame:
    """The runs with these values."""
    chosen = pd.Series(True, index=runs.index)
    for key, value in keys.items():
        chosen &= (runs[key] == value).fillna(False).astype(bool) if key in runs else False
    return runs[chosen]


def _line(number: Number, found: pd.DataFrame) -> Line:
    if found.empty:
        return Line(number, number.value, None, _or_reference(number, Verdict.NOT_RUN))
    comparable, nearest = _comparable(number, found)
    if comparable.empty:
        return Line(number, number.value, None, _or_reference(number, Verdict.NOT_COMPARABLE), nearest)
    ours = _ours(comparable, number.value)
    return Line(number, number.value, ours, _or_reference(number, _judge(ours, number)))


def _or_reference(number: Number, verdict: Verdict) -> Verdict:
    return Verdict.REFERENCE if number.role is Role.REFERENCE else verdict


def _comparable(number: Number, found: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, tuple[Any, Any]]]:
    """The runs that keep the protocol, and the keys in which the one that comes nearest does not."""
    expected = protocol(number)
    differing = [_differing(run, expected) for run in found.to_dict("records")]
    return found[[not keys for keys in differing]], min(differing, key=len)


def _differing(run: Mapping[Any, Any], expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    keys = {}
    for key, value in expected.items():
        ours, theirs = run.get(key), tuple(value) if isinstance(value, list) else value
        if not isinstance(ours, tuple) and pd.isna(ours):
            ours = None
        if ours != theirs:
            keys[key] = (ours, theirs)
    return keys


def _literal(value: Any) -> str:
    return "null" if value is None else str(list(value)) if isinstance(value, tuple) else str(value)


def _ours(runs: pd.DataFrame, value: str) -> Ours:
    """What has diverged has no last epoch; it has had a best one."""
    finished = runs["state"].isin([state.value for state in RESULTS])
    with_value = finished if value.startswith("best_") else runs["state"] == State.DONE
    numbers = pd.to_numeric(runs[value]) if value in runs else pd.Series(math.nan, index=runs.index)
    sample = Sample.of(numbers.astype("float64")[with_value].dropna().to_numpy())
    return Ours(sample, len(runs), int(finished.sum()), int((runs["state"] == State.DIVERGED).sum()))


def _judge(ours: Ours, number: Number) -> Verdict:
    if ours.sample.n < SEEDS:
        # Without a published count of divergence, a published mean says that seeds finished, and all of ours did not.
        all_gone = number.diverged is None and ours.finished >= SEEDS and ours.diverged == ours.finished
        return Verdict.DIFFERS if all_gone else Verdict.TOO_FEW
    allowed = max(ERRORS * error_of_difference(ours.sample, number.sample), POINTS)
    # 7.90 + 0.15 - 7.90 is more than 0.15 in binary.
    return Verdict.REPRODUCED if abs(ours.sample.mean - number.mean) <= allowed + 1e-9 else Verdict.DIFFERS


def _divergence(line: Line) -> Line | None:
    """The line about divergence, where there is something to say."""
    number, ours = line.number, line.ours
    if number.diverged is None or not (number.diverged or (ours and ours.diverged)):
        return None
    if ours is None:
        return replace(line, value=DIVERGED)
    if ours.finished < SEEDS:
        return Line(number, DIVERGED, ours, Verdict.TOO_FEW)
    p = fisher_exact(ours.diverged, ours.finished, number.diverged, number.n)
    return Line(number, DIVERGED, ours, Verdict.DIFFERS if p < SIGNIFICANT else Verdict.REPRODUCED)


def _in_words(sample: Sample, value: str) -> str:
    if math.isnan(sample.mean):
        return NONE
    spread = "" if math.isnan(sample.sd) else f" ± {in_digits(sample.sd, value)}"
    return f"{in_digits(sample.mean, value)}{spread}" + (f" (n={sample.n})" if sample.n else "")
