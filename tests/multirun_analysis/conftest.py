"""A sweep that several modules read."""

import pytest
import synthetic


@pytest.fixture(scope="session")
def grid_sweep(tmp_path_factory):
    """Depths 20, 56, 110 × τ {1, L^-1/2} × norm {batch, none}, 2 seeds; without norm, τ=1 diverges."""
    path = tmp_path_factory.mktemp("sweeps") / "grid"
    synthetic.write_sweep(path)
    return path
