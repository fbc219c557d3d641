"""τ as mathematics."""

import pytest

from multirun_analysis.labels.tau import tau_math


@pytest.mark.parametrize(
    ("label", "math"),
    [
        ("1", "$1$"),
        ("0.136", "$0.136$"),
        ("L^-1/2", "$L^{-1/2}$"),
        ("0.5·L^-1/2", r"$0.5\,L^{-1/2}$"),
        ("2·L^-0.4", r"$2\,L^{-0.4}$"),
        ("L^-1", "$L^{-1}$"),
        ("L^-1/2 learned", "$L^{-1/2}$ learned"),
        ("2·L^-1/2 of the largest stage learned", r"$2\,L^{-1/2}$ of the largest stage learned"),
        ("1 learned", "$1$ learned"),
        ("1e-05·L^-1", r"$1e-05\,L^{-1}$"),
        ("step_size", r"step\_size"),
    ],
)
def test_tau_as_mathematics(label, math):
    assert tau_math(label) == math
