"""Prediction: how far the mean of our runs may be from a published one if both are of one experiment.

Our n runs have mean x and sd s, the paper's m runs mean y and sd S. If all of them come from one distribution, x − y
has the standard error √(s²/n + S²/m), and |x − y| exceeds t·error with probability 5 % at most, where t is the quantile
of Student's distribution with min(n, m) − 1 degrees of freedom (M. R. Mickey and M. B. Brown, Ann. Math. Stat. 37,
1966: the level holds whatever the two variances are; with Welch's degrees of freedom it is 8.6 % at n = 2, m = 20).

A paper that gives no sd has said nothing of how much its number varies. Then S = s: that its seeds vary no more than
ours is assumed, and said. Where it does not even say m, its number is that of one run: m = 1, a prediction interval.

Both sides are in steps, as wide as a published number is rounded (one of 10,000 test images is 0.01 percent points).
Two seeds that end on one step do not have an sd of 0: what a step hides, its width/√12, is added to s.
"""

import math
from dataclasses import dataclass

from multirun_analysis.stats.sample import Sample


@dataclass(frozen=True)
class Prediction:
    """The difference of our mean and a published one, and what it may be.

    Attributes:
        difference: ours − theirs.
        error: its standard error, if both are of one experiment.
        freedom: degrees of freedom of the error.
        rounding: the published mean is within this of what was measured, half a step.
        assumed: what the paper does not say and the error takes for granted; empty if nothing.
    """

    difference: float
    error: float
    freedom: float
    rounding: float
    assumed: str = ""

    def half_width(self, level: float = 0.95) -> float:
        """Half the width of the interval of the true difference; ours may be so far off without saying anything."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, 0.5 + level / 2)) * self.error + self.rounding

    @property
    def p(self) -> float:
        """Of a difference at least as large, if both are of one experiment (two-sided)."""
        away = max(abs(self.difference) - self.rounding - 1e-12, 0.0)  # 7.90 + 0.15 − 7.90 is more than 0.15 in binary
        return min(2 * self._tail(away), 1.0)

    def equivalence(self, margin: float) -> float:
        """p of the two one-sided tests (D. J. Schuirmann, 1987): small where the true difference is within ±margin."""
        return self._tail(margin - self.rounding - abs(self.difference))

    def _tail(self, away: float) -> float:
        from scipy.special import stdtr

        if not self.error:
            return 0.5 if not away else 0.0 if away > 0 else 1.0
        return float(stdtr(self.freedom, -away / self.error))


def predict(
    ours: Sample, theirs: Sample, rounding: float = 0.0, common: tuple[float, int] | None = None
) -> Prediction | None:
    """
    Args:
        ours: with at least two seeds.
        theirs: its n is 0 where it was not published, its sd NaN.
        common: an sd that our cells are declared to have in common, with its degrees of freedom; see `pooled`.

    Returns:
        None where our seeds say nothing of their spread.
    """
    sd, freedom = common or (ours.sd, ours.n - 1)
    sd = math.hypot(sd, rounding / math.sqrt(3))
    if ours.n < 1 or freedom < 1 or math.isnan(theirs.mean):
        return None
    m = max(theirs.n, 1)
    assumed = [] if theirs.n else ["theirs is one run"]
    if math.isnan(theirs.sd):
        their_sd = sd
        assumed.append("their sd is at most ours")
    else:
        their_sd = theirs.sd
        freedom = min(freedom, m - 1) if m > 1 else freedom
    error = math.sqrt(sd**2 / ours.n + their_sd**2 / m)
    return Prediction(ours.mean - theirs.mean, error, freedom, rounding, " and ".join(assumed))
