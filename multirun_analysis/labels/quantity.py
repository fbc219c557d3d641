"""Quantities: what is known of a number from its name: whether less of it is better, and what it can be."""

import math
import re

ERRORS = frozenset({"error", "err"})
WORSE = ERRORS | {"loss", "nll", "perplexity", "ppl", "rmse", "mse", "mae"}  # the more of it
COSTS = frozenset({"seconds", "time", "memory"})  # less is better, but nobody compares networks by them
BETTER = frozenset({"acc", "accuracy", "auc", "auroc", "f1", "iou", "miou", "bleu", "psnr", "ssim", "r2", "recall"})
NEVER_NEGATIVE = WORSE | COSTS | {"parameters", "epochs", "steps", "norm", "growth", "gradient"}


def words(name: str) -> list[str]:
    """`final_test_error@3` → final, test, error, 3."""
    return re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def rises(name: str) -> bool:
    """Whether more is better: of an accuracy it is, of errors, losses and times it is not."""
    found = set(words(name))
    return not found & (WORSE | COSTS) and (bool(found & BETTER) or any(word.startswith("acc") for word in found))


def is_ranked(name: str) -> bool:
    """Whether less, or more, of it is better."""
    return bool(WORSE & set(words(name))) or rises(name)


def bounds(name: str, least: float, most: float) -> tuple[float, float]:
    """Between which numbers it lies, if values from `least` to `most` have been seen; infinite where nothing is known.

    An error is in percent; an accuracy is a share as long as nothing above 1 has been seen. What has been negative
    can be.
    """
    found = set(words(name))
    if not least >= 0 or not (rises(name) or found & NEVER_NEGATIVE):
        return -math.inf, math.inf
    if rises(name) and most <= 100:
        return 0.0, 1.0 if most <= 1 else 100.0
    return 0.0, 100.0 if found & ERRORS and most <= 100 else math.inf
