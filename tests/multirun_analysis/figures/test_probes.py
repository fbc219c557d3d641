"""The figures of probes: a colour a block and step, what cannot be read said, and the exponents of the sizes."""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import configuration, write_runs

from multirun_analysis import figure, load
from multirun_analysis.read.probes import QUANTITIES, read_probes
from multirun_analysis.read.sweep import Sweep
from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory, SweepDirectory


def write(run: RunDirectory, factor: float = 1.0) -> None:
    """Features of l + step in block l, and all else twice as large, at steps 0, 50 and 100."""
    blocks = (run.read_config()["arch"]["depth"] - 2) // 2
    parts = ["stem", *["block"] * blocks, "head"]
    rows = [(0, step, part, block) for step in (0, 50, 100) for block, part in enumerate(parts)]
    table = pd.DataFrame(rows, columns=["epoch", "step", "part", "block"])
    features = factor * (table["block"] + table["step"])
    table = table.assign(features=features, **dict.fromkeys([*QUANTITIES][1:], 2 * features))
    table.loc[table["part"] == "stem", "branch"] = None
    table.to_parquet(run.probes(1))


@pytest.fixture
def sweep(tmp_path: Path) -> SweepDirectory:
    written = write_runs(tmp_path / "s", [configuration(depth, seed=seed) for depth in (20, 8) for seed in (0, 1)])
    for run in written:
        write(run)
    return written


def loaded(sweep: SweepDirectory) -> Sweep:
    return load(sweep.path)


def test_a_panel_a_cell_and_a_colour_a_block_and_step(sweep: SweepDirectory) -> None:
    picture = figure(loaded(sweep), "probes")
    picture.content("png")
    *axes, bar = picture.figure.axes
    assert [one.get_title() for one in axes] == ["depth 8", "depth 20"]
    for one, blocks in zip(axes, (3, 9), strict=True):
        (mesh,) = one.collections
        assert mesh.get_array().shape == (blocks, 3)
        np.testing.assert_array_equal(mesh.get_array(), np.add.outer(range(1, blocks + 1), [0, 50, 100]))
        assert one.get_xlim() == (-25, 125)
    assert bar.get_ylabel() == "RMS of the features"
    gradient = figure(loaded(sweep), "probes", "gradient")
    assert gradient.figure.axes[0].collections[0].get_array().max() == 2 * 103
    assert set(picture.table["part"]) == {"stem", "block", "head"}


def test_a_single_cell_has_a_panel_a_quantity(sweep: SweepDirectory) -> None:
    picture = figure(load(sweep.path, where="arch.depth == 8"), "probes")
    assert len([one for one in picture.figure.axes if one.get_xlabel() == "step"]) == len(QUANTITIES)


def test_seeds_are_averaged_and_what_is_not_finite_stays_white(sweep: SweepDirectory) -> None:
    for run, factor in zip(sweep, (1.0, 3.0, math.inf, math.inf), strict=True):
        write(run, factor)
    depth = next(iter(sweep)).read_config()["arch"]["depth"]
    first = figure(load(sweep.path, where=f"arch.depth == {depth}"), "probes", "features").figure.axes[0]
    assert first.collections[0].get_array().max() == pytest.approx(2 * (100 + (depth - 2) // 2))
    white, _ = sorted(
        figure(loaded(sweep), "probes").figure.axes[:2], key=lambda one: one.get_ylim()[1] == first.get_ylim()[1]
    )
    assert white.collections[0].get_array().mask.all()


@pytest.mark.parametrize("content", [b"", b"PAR1 no table", "other"])
def test_a_file_that_is_none_is_left_out_and_said(content: bytes | str, sweep: SweepDirectory) -> None:
    run = next(iter(sweep))
    if isinstance(content, bytes):
        run.probes(1).write_bytes(content)
    else:
        pd.DataFrame({"secret": [1]}).to_parquet(run.probes(1))
    table, broken = read_probes(loaded(sweep))
    assert [name for name, _ in broken] == [run.path.name]
    assert table["run"].nunique() == 3
    assert f"{run.path.name} is left out: probes: " in figure(loaded(sweep), "probes").note


def test_no_probes_or_no_quantity_is_one_line(sweep: SweepDirectory) -> None:
    with pytest.raises(BadInput, match="'gradien' is no quantity of probes; nearest: gradient"):
        figure(loaded(sweep), "probes", "gradien")
    for run in sweep:
        run.probes(1).unlink()
    for name in ("probes", "coordinate-check"):
        with pytest.raises(BadInput, match=r"no run has probes: they are written with runtime\.probes=50"):
            figure(loaded(sweep), name)


def test_the_coordinate_check_says_the_exponents(sweep: SweepDirectory) -> None:
    for run in sweep:
        blocks = (run.read_config()["arch"]["depth"] - 2) // 2
        write(run)
        table = pd.read_parquet(run.probes(1))
        table.assign(feature_change=blocks**0.5, features=1 / blocks).to_parquet(run.probes(1))
    picture = figure(loaded(sweep), "coordinate-check")
    picture.content("png")
    assert [one.get_title() for one in picture.figure.axes] == ["last block", "head"]
    assert [len(one.lines) for one in picture.figure.axes] == [3, 3]
    assert re.findall(r"slope (\S+)", picture.note) == ["0.50", "0.50"]
    assert re.findall(r"slope (\S+)", figure(loaded(sweep), "coordinate-check", "features").note) == ["-1.00", "-1.00"]


def test_the_coordinate_check_needs_several_sizes(sweep: SweepDirectory) -> None:
    with pytest.raises(BadInput, match=r"coordinate-check needs probes of networks of several arch\.width or blocks"):
        figure(load(sweep.path, where="arch.depth == 8"), "coordinate-check")
