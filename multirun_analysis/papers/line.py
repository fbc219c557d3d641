"""Line: one published number beside ours, with the difference, what it may be, and a verdict."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from multirun_analysis.labels.values import NONE
from multirun_analysis.labels.values import number as in_digits
from multirun_analysis.papers.ours import Ours
from multirun_analysis.papers.published import Number
from multirun_analysis.stats.prediction import Prediction
from multirun_analysis.stats.sample import Sample

LEVEL = 0.05
DIVERGED = "diverged"
HEADINGS = ("figure", "networks", "value", "ours", "published", "difference", "within", "verdict")


class Verdict(StrEnum):
    REPRODUCED = "reproduced"
    DIFFERS = "differs"
    INCONCLUSIVE = "inconclusive"
    TOO_FEW = "too few seeds"
    NOT_RUN = "not run"
    NOT_COMPARABLE = "not comparable"
    REFERENCE = "reference"  # another paper's number: shown, not judged


@dataclass(frozen=True)
class Line:
    """One published number beside ours.

    Attributes:
        value: what is compared: a column of the sweep's runs, or `diverged`.
        ours: None where there are no comparable runs.
        prediction: what the difference may be; None where that is not known, and of divergence.
        p, adjusted: as it is, and for the number of lines judged together; NaN where there is none.
        reason: why there is no other verdict; empty where the verdict says it.
        differing: of `not comparable`: the keys, each with ours and the protocol's value.
    """

    number: Number
    value: str
    ours: Ours | None
    verdict: Verdict = Verdict.TOO_FEW
    prediction: Prediction | None = None
    p: float = math.nan
    adjusted: float = math.nan
    reason: str = ""
    differing: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def difference(self) -> float:
        """Ours − published, in percent points; NaN where there is none."""
        return math.nan if self.ours is None or self.value == DIVERGED else self.ours.sample.mean - self.number.mean

    @property
    def allowed(self) -> float:
        """Half the 95 % interval of the difference; NaN where it is not known."""
        return math.nan if self.prediction is None else self.prediction.half_width()

    @property
    def equivalent(self) -> float:
        """p of the two one-sided tests that the difference is within the number's margin; NaN where there is none."""
        return math.nan if self.prediction is None else self.prediction.equivalence(self.number.margin)

    @property
    def theirs_diverged(self) -> tuple[int, int]:
        """How many of how many published seeds: a mean that says nothing of it is of one at least that did not."""
        return (0, max(self.number.n, 1)) if self.number.diverged is None else (self.number.diverged, self.number.n)

    def texts(self) -> tuple[str, ...]:
        """What stands below `HEADINGS`."""
        number, ours = self.number, self.ours
        if self.value == DIVERGED:
            published = "/".join(map(str, self.theirs_diverged))
            here = f"{ours.diverged}/{ours.finished}" if ours else NONE
        else:
            published, here = _in_words(number.sample, self.value), _in_words(ours.sample, self.value) if ours else NONE
        if ours and ours.runs > ours.finished:
            here += f", {ours.runs - ours.finished} unfinished"
        difference = NONE if math.isnan(self.difference) else f"{self.difference:+.2f}"
        if not math.isnan(self.allowed):
            difference += f" [{self.difference - self.allowed:+.2f}, {self.difference + self.allowed:+.2f}]"
        within = f"±{number.margin:.2f}, p = {in_short(self.equivalent)}" if self.equivalent < LEVEL else NONE
        verdict = f"{self.verdict}: {self.reason}" if self.reason else str(self.verdict)
        networks = f"{number.words} ({ours.cell})" if ours and ours.cell else number.words
        return number.figure, networks, self.value, here, published, difference, within, verdict


def in_short(p: float) -> str:
    """A p value as text."""
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"


def _in_words(sample: Sample, value: str) -> str:
    if math.isnan(sample.mean):
        return NONE
    spread = "" if math.isnan(sample.sd) else f" ± {in_digits(sample.sd, value)}"
    return f"{in_digits(sample.mean, value)}{spread}" + (f" (n={sample.n})" if sample.n else "")
