"""Verdicts: a line a published number and cell of ours, with the difference and what can be said of it.

- `differs`: were both of one experiment, so large a difference would come up in less than 5 % of commands like this
  one. The p values of all lines, those of last and best epochs and of divergence, are adjusted by Holm's method.
- `inconclusive`: it does not, but our seeds would not have shown a difference that matters either: what they allow
  (half the 95 % interval of the difference) is more than the number's margin. So is every number of which the source
  does not say whether it is of the last or of the best epoch.
- `reproduced`: neither: no difference was found, and none of more than twice the margin would be missed more often
  than in 5 % of cases.
- `too few seeds`: fewer than two have a value, so that nothing is known of their spread.
- `not run`: the sweep has no such network.
- `not comparable`: it has, but some scientific key is another than the protocol's.

Beside the verdict stands whether the two are equivalent: p of the two one-sided tests that the true difference is
within ± margin, where it is below 5 %.

Divergence has lines of its own where ours or theirs diverged: k of n seeds against k of n, Fisher's exact test. They
are `reproduced` where in addition Newcombe's 95 % interval of the difference is within ± 50 points.

Cells that differ in any scientific key have a line each, and are never pooled. `common` is a declaration, to be made
before the data are there: the cells judged together have one sd, which is then known from all their seeds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from multirun_analysis.papers.line import DIVERGED, LEVEL, Line, Verdict, in_short
from multirun_analysis.papers.ours import belonging, comparable
from multirun_analysis.papers.protocol import reason_of
from multirun_analysis.papers.published import Number, Role, Statistic, published
from multirun_analysis.stats.holm import holm
from multirun_analysis.stats.prediction import predict
from multirun_analysis.stats.proportions import fisher_exact, newcombe
from multirun_analysis.stats.sample import Sample, pooled

APART = 0.5  # divergence: an interval inside of ± this says that the two are alike


def verify(runs: pd.DataFrame, everything: bool = False, common: bool = False) -> list[Line]:
    """The verdicts on a sweep.

    Args:
        runs: `Sweep.runs`, or some rows of it.
        everything: also the experiments of which the sweep has no run.
        common: the cells are declared to have one sd a value.
    """
    lines: list[Line] = []
    numbers = published() if everything else belonging(runs)
    judged: list[tuple[str, Mapping[str, Any], str]] = []
    for number in numbers:
        for line in _lines(number, runs):
            lines.append(line)
            place = (number.experiment, number.position, line.ours.cell if line.ours else "")
            if place not in judged and (about := _divergence(line)):
                judged.append(place)
                lines.append(about)
    return judged_together([weighed(line, sd) for line, sd in zip(lines, _common(lines, common), strict=True)])


def judged_together(lines: Sequence[Line]) -> list[Line]:
    """The lines, those that have a p with their verdicts."""
    adjusted = iter(holm([line.p for line in lines if not math.isnan(line.p)]))
    return [line if math.isnan(line.p) else _judged(replace(line, adjusted=next(adjusted))) for line in lines]


def _judged(line: Line) -> Line:
    verdict, reason = judge(line)
    return replace(line, verdict=verdict, reason=reason)


def judge(line: Line) -> tuple[Verdict, str]:
    """The verdict on a line that has been tested, and the reason where there must be one."""
    if line.adjusted < LEVEL:
        return Verdict.DIFFERS, _assuming(line, "")
    if line.value == DIVERGED:
        assert line.ours is not None
        low, high = newcombe(line.ours.diverged, line.ours.finished, *line.theirs_diverged)
        if low < -APART or high > APART:
            return Verdict.INCONCLUSIVE, f"the two may be {max(-low, high):.0%} apart"
        return Verdict.REPRODUCED, ""
    if line.p < LEVEL:
        reason = f"p = {in_short(line.p)} alone, {in_short(line.adjusted)} among all lines"
        return Verdict.INCONCLUSIVE, _assuming(line, reason)
    if line.allowed > line.number.margin:
        reason = f"these seeds allow ±{line.allowed:.2f}, the margin is {line.number.margin:.2f}"
        return Verdict.INCONCLUSIVE, _assuming(line, reason)
    return Verdict.REPRODUCED, _assuming(line, "")


def _lines(number: Number, runs: pd.DataFrame) -> list[Line]:
    """The lines of a number, not judged yet."""
    cells, nearest = comparable(number, runs)
    if not cells:
        verdict = Verdict.NOT_COMPARABLE if nearest else Verdict.NOT_RUN
        verdict = Verdict.REFERENCE if number.role is Role.REFERENCE else verdict
        return [Line(number, number.value, None, verdict, reason=reason_of(nearest), differing=nearest)]
    verdict, reason = Verdict.TOO_FEW, ""
    if number.role is Role.REFERENCE:
        verdict = Verdict.REFERENCE
    elif number.statistic is Statistic.UNKNOWN:
        verdict, reason = Verdict.INCONCLUSIVE, "the source does not say whether it is of the last or the best epoch"
    return [Line(number, number.value, ours, verdict, reason=reason) for ours in cells]


def _divergence(line: Line) -> Line | None:
    """The line about divergence, where there is something to say."""
    number, ours = line.number, line.ours
    if number.role is Role.REFERENCE or not (number.diverged or (ours and ours.diverged)):
        return None
    return Line(number, DIVERGED, ours, Verdict.TOO_FEW if ours else line.verdict, differing=line.differing)


def _common(lines: Sequence[Line], declared: bool) -> list[tuple[float, int] | None]:
    """For each line the sd that its value has in all cells, if that is declared."""
    samples: dict[str, dict[tuple[Any, ...], Sample]] = {}
    for line in lines:
        if line.ours is not None and line.value != DIVERGED:  # a cell may have numbers in two figures
            cell = (*sorted(line.number.position.items()), line.ours.cell)
            samples.setdefault(line.value, {})[cell] = line.ours.sample
    shared = {value: pooled(list(cells.values())) for value, cells in samples.items()}
    return [shared.get(line.value) if declared else None for line in lines]


def weighed(line: Line, common: tuple[float, int] | None = None) -> Line:
    """The line with what there is to say of it by itself: its prediction and its p."""
    if line.ours is None or line.verdict is not Verdict.TOO_FEW:
        return line
    if line.value == DIVERGED:
        if not line.ours.finished:
            return line
        return replace(line, p=fisher_exact(line.ours.diverged, line.ours.finished, *line.theirs_diverged))
    prediction = predict(line.ours.sample, line.number.sample, line.number.rounding, common)
    return line if prediction is None else replace(line, prediction=prediction, p=prediction.p)


def _assuming(line: Line, reason: str) -> str:
    """With what was assumed of the paper."""
    assumed = line.prediction.assumed if line.prediction else ""
    return "; ".join(filter(None, (reason, f"assuming {assumed}" if assumed else "")))
