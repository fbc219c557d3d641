"""Samples: numpy's, and what several of them have in common."""

import math

import numpy as np
import pytest

from multirun_analysis.stats.sample import Sample, pooled


def test_a_sample_has_mean_and_sd_over_n_minus_1():
    numbers = np.random.default_rng(0).normal(size=7)
    sample = Sample.of(numbers)
    assert (sample.n, sample.mean, sample.sd) == (7, np.mean(numbers), np.std(numbers, ddof=1))
    assert math.isnan(Sample.of([1.0]).sd)
    assert math.isnan(Sample.of([]).mean)


def test_the_common_sd_is_that_of_the_residuals():
    generator = np.random.default_rng(1)
    groups = [generator.normal(mean, 2, size=size) for mean, size in ((0, 3), (10, 5), (4, 1))]
    sd, freedom = pooled([Sample.of(group) for group in groups])
    residuals = np.concatenate([group - group.mean() for group in groups])
    assert freedom == 2 + 4
    assert sd == pytest.approx(math.sqrt((residuals**2).sum() / 6), rel=1e-12)
    assert math.isnan(pooled([Sample.of([1.0])])[0])
