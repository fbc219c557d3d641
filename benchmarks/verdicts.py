"""What a verdict promises, simulated: how often correct code is called `differs`, and a wrong one is not.

python benchmarks/verdicts.py             # 10,000 draws a setting, 3 minutes
python benchmarks/verdicts.py --draws 500

Both sides are drawn from normal distributions, in steps of 0.01 as errors on 10,000 images are, and go through what
`multirun-analysis verify` does; published numbers are rounded to two digits. Every figure is a share in percent.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from multirun_analysis.papers.line import DIVERGED, Line, Verdict
from multirun_analysis.papers.ours import Ours
from multirun_analysis.papers.published import Number, published
from multirun_analysis.papers.verdicts import judged_together, weighed
from multirun_analysis.stats.sample import Sample, pooled

SIGMAS = (0.1, 0.2, 0.5, 1.0, 5.0)
SEEDS = (2, 3, 5, 10, 20)
ANY = next(number for number in published() if number.figure == "flow-1a")
Draws = np.ndarray[Any, np.dtype[np.float64]]


def number(mean: float, sd: float, m: int, margin: float = 0.0) -> Number:
    """A published number of m seeds, as a paper prints it; of one seed it says neither sd nor n."""
    known = {"sd": round(sd, 2), "n": m} if m > 1 else {"sd": math.nan, "n": 0}
    return replace(ANY, mean=round(mean, 2), rounding=0.005, margin=margin, diverged=None, **known)


def line(of: Number, sample: Sample, common: tuple[float, int] | None = None) -> Line:
    return weighed(Line(of, of.value, Ours(sample, sample.n, sample.n, 0)), common)


def samples(generator: np.random.Generator, draws: int, n: int, mean: float, sd: float) -> list[Sample]:
    values = np.round(generator.normal(mean, sd, size=(draws, n)), 2)
    spread = values.std(axis=1, ddof=1) if n > 1 else np.full(draws, math.nan)
    return [Sample(n, float(a), float(b)) for a, b in zip(values.mean(axis=1), spread, strict=True)]


def one_number(
    draws: int, n: int, m: int, sigma: float, shift: float = 0.0, ratio: float = 1.0, margin: float = math.inf
) -> dict[Verdict, float]:
    """The share of each verdict on one number.

    Args:
        n, m: our seeds and the paper's; 1 is a number without sd and n.
        sigma: the sd of our seeds; `ratio` times as much is the paper's.
        shift: ours − theirs, in percent points.
        margin: the number's, in percent points.
    """
    generator = np.random.default_rng([n, m, round(1000 * sigma), round(1000 * shift), round(1000 * ratio)])
    counts = dict.fromkeys(Verdict, 0)
    theirs = samples(generator, draws, m, 10.0, ratio * sigma)
    for ours, their in zip(samples(generator, draws, n, 10.0 + shift, sigma), theirs, strict=True):
        (judged,) = judged_together([line(number(their.mean, their.sd, m, margin), ours)])
        counts[judged.verdict] += 1
    return {verdict: count / draws for verdict, count in counts.items()}


def one_command(draws: int, n: int, m: int, cells: int, sigmas: Sequence[float], common: bool = False) -> float:
    """The share of commands with any `differs`: a last and a best epoch a cell, and its divergence.

    The best epoch is the last one but for a little; a seed diverges with probability 0.2.
    """
    generator = np.random.default_rng([n, m, cells])
    found = 0
    for _ in range(draws):
        lines, pairs = [], []
        for cell in range(cells):
            sigma = sigmas[cell % len(sigmas)]
            ours, theirs = (generator.normal(10, sigma, size) for size in (n, m))
            for noise in (0.0, 0.1):
                pair = [
                    Sample.of(np.round(values + noise * generator.normal(size=len(values)), 2))
                    for values in (ours, theirs)
                ]
                pairs.append(pair)
            of = replace(number(10, sigma, m), n=m, diverged=int(generator.binomial(m, 0.2)))
            gone = Ours(Sample(0, math.nan, math.nan), n, n, int(generator.binomial(n, 0.2)))
            lines.append(weighed(Line(of, DIVERGED, gone)))
        shared = pooled([first for first, _ in pairs]) if common else None
        lines += [line(number(theirs.mean, theirs.sd, m), ours, shared) for ours, theirs in pairs]
        found += any(judged.verdict is Verdict.DIFFERS for judged in judged_together(lines))
    return found / draws


def common_sd(draws: int, n: int, m: int, sigmas: Sequence[float]) -> list[float]:
    """The share of `differs` on each of some cells by itself, their sd declared to be one."""
    generator = np.random.default_rng([n, m, len(sigmas)])
    ours = [samples(generator, draws, n, 10.0, sigma) for sigma in sigmas]
    theirs = [samples(generator, draws, m, 10.0, sigma) for sigma in sigmas]
    found = np.zeros(len(sigmas))
    for draw in range(draws):
        shared = pooled([cell[draw] for cell in ours])
        for cell in range(len(sigmas)):
            of = number(theirs[cell][draw].mean, theirs[cell][draw].sd, m)
            (judged,) = judged_together([line(of, ours[cell][draw], shared)])
            found[cell] += judged.verdict is Verdict.DIFFERS
    return list(found / draws)


def table(title: str, rows: Iterator[tuple[str, list[float]]], heads: Sequence[Any], name: str = "n") -> None:
    print(f"\n{title}\n{name:>34} " + "".join(f"{head:>8}" for head in heads))
    for head, values in rows:
        print(f"{head:>34} " + "".join(f"{100 * value:8.1f}" for value in values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    draws = parser.parse_args().draws

    def share(verdict: Verdict, **setting: Any) -> Callable[[int], float]:
        return lambda n: one_number(draws, n, **setting)[verdict]

    differs = Verdict.DIFFERS
    table(
        "`differs` though both are of one experiment (at most 5)",
        (
            (f"σ = {s:g}, m = {m}", [share(differs, m=m, sigma=s)(n) for n in SEEDS])
            for m in (1, 2, 5, 20)
            for s in SIGMAS
        ),
        SEEDS,
    )
    table(
        "the same where the sd differ: theirs is so many times ours (m = 1 assumes at most 1)",
        (
            (f"{ratio:g}, m = {m}", [share(differs, m=m, sigma=0.2, ratio=ratio)(n) for n in SEEDS])
            for m in (1, 20)
            for ratio in (0.5, 2.0)
        ),
        SEEDS,
    )
    table(
        "power: `differs` where the true difference is so many σ (σ = 0.2)",
        (
            (f"{k} σ, m = {m}", [share(differs, m=m, sigma=0.2, shift=0.2 * k)(n) for n in SEEDS])
            for m in (1, 5, 20)
            for k in (1, 2, 3, 5)
        ),
        SEEDS,
    )
    for shift, what in ((0.0, "no difference"), (0.4, "a true difference of twice the margin (at most 5)")):
        table(
            f"`reproduced` at {what}; the margin is 0.2",
            (
                (
                    f"σ = {s:g}, m = {m}",
                    [share(Verdict.REPRODUCED, m=m, sigma=s, shift=shift, margin=0.2)(n) for n in SEEDS],
                )
                for m in (1, 20)
                for s in (0.05, 0.1, 0.2)
            ),
            SEEDS,
        )
    few = max(draws // 5, 100)
    table(
        f"commands with any `differs`: 6 cells, last, best and divergence: 18 lines (at most 5; {few} draws)",
        (
            (f"m = {m}{', one sd' * common}", [one_command(few, n, m, 6, (0.2,), common) for n in SEEDS])
            for m in (1, 20)
            for common in (False, True)
        ),
        SEEDS,
    )
    table(
        f"`--common-sd` with 3 seeds a cell, m = 20, each cell ({few} draws)",
        (
            (said, common_sd(few, 3, 20, sigmas))
            for said, sigmas in (
                ("equal", (0.1,) * 6),
                ("unequal, as in figure 1a", (0.16, 0.10, 0.16, 0.07, 0.10, 0.08)),
            )
        ),
        range(1, 7),
        "cell",
    )


if __name__ == "__main__":
    main()
