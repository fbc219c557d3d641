"""A sweep that several modules read."""

import pytest
import synthetic
from cli import ended

from multirun_analysis import command


@pytest.fixture(scope="session")
def grid_sweep(tmp_path_factory):
    """Depths 20, 56, 110 × τ {1, L^-1/2} × norm {batch, none}, 2 seeds; without norm, τ=1 diverges."""
    path = tmp_path_factory.mktemp("sweeps") / "grid"
    synthetic.write_sweep(path)
    return path


@pytest.fixture
def call(monkeypatch, capsys):
    """Run `multirun-analysis` in this process: (exit code, stdout, stderr)."""
    return lambda *arguments: ended("multirun-analysis", command.main, arguments, monkeypatch, capsys)


@pytest.fixture(scope="session")
def wide_report(tmp_path_factory):
    """The report on 1,000 runs of 200 epochs: its path, and how many runs it has."""
    from multirun_analysis import load
    from multirun_analysis.report.page import render

    path = tmp_path_factory.mktemp("wide")
    taus = ((1.0, 0.0), (1.0, 0.25), (1.0, 0.4), (1.0, 0.5), (1.0, 1.0))
    synthetic.write_sweep(path / "wide", (20, 32, 44, 56, 110), taus, seeds=range(20), epochs=200)
    sweep = load(path / "wide")
    page = path / "report.html"
    page.write_bytes(render(sweep))
    return page, len(sweep.runs)
