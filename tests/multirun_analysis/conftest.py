"""A sweep that several modules read, and the path on which they find the package and not its tests.

This folder has the name of the package it tests. Where `tests/` is on the path and the repository is not, Python
would take it for the package.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

import synthetic


@pytest.fixture(scope="session")
def grid_sweep(tmp_path_factory):
    """Depths 20, 56, 110 × τ {1, L^-1/2} × norm {batch, none}, 2 seeds; without norm, τ=1 diverges."""
    path = tmp_path_factory.mktemp("sweeps") / "grid"
    synthetic.write_sweep(path)
    return path
