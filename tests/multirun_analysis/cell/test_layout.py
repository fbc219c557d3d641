"""Pivots: any keys in rows and columns, every cell at its place, in the order of the values."""

import pytest
from shapes import SHAPES
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, protocol_of, write_runs, write_sweep

from multirun_analysis import cells, load
from multirun_analysis.cell.layout import default_keys, pivot
from multirun_analysis.labels.values import text
from multirun_analysis.papers.published import published
from taunode.errors import BadInput


@pytest.fixture(scope="module")
def found(grid_sweep):
    return cells(load(grid_sweep).runs)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (["arch.depth"], ["arch.norm", "tau"]),
        (["tau"], ["arch.depth", "arch.norm"]),
        (["arch.norm", "arch.depth"], ["tau"]),
        (["arch.depth", "arch.norm", "tau"], []),
        (["arch.depth", "tau.exponent"], ["arch.norm"]),
    ],
)
def test_every_cell_is_at_its_place(found, rows, columns):
    layout = pivot(found, rows, columns)
    assert len(layout.places) == len(found) == 12
    for _, cell in found.iterrows():
        place = [tuple(text(cell[key]) for key in keys) for keys in (rows, columns)]
        assert layout.at(*place).equals(cell)


def test_numbers_ascend_and_tau_descends(tmp_path):
    sweep = write_sweep(tmp_path / "s", (110, 20, 56), taus=((0.5, 0.5), ONE, INVERSE_SQRT), norms=("none", "batch"))
    layout = pivot(cells(load(sweep.path).runs), ["arch.depth"], ["arch.norm", "tau"])
    assert [depth for (depth,) in layout.rows] == ["20", "56", "110"]
    assert layout.columns == tuple((n, tau) for n in ("batch", "none") for tau in ("1", "L^-1/2", "0.5·L^-1/2"))


def test_what_a_run_lacks_comes_last(tmp_path):
    configs = [configuration(), configuration(), configuration()]
    for config, width in zip(configs, (None, 10, 9), strict=True):
        if width is not None:
            config["arch"]["wings"] = width
    layout = pivot(cells(load(write_runs(tmp_path / "s", configs).path).runs), ["arch.wings"], ["tau"])
    assert [label for (label,) in layout.rows] == ["9", "10", "–"]


def test_what_differs_has_different_labels(tmp_path):
    configs = [configuration(), configuration(), configuration()]
    for config, target in zip(configs, ("mine.Net", "yours.Net", "taunode.models.ode.RkhsNode"), strict=True):
        config["arch"]["_target_"] = target
    layout = pivot(cells(load(write_runs(tmp_path / "s", configs).path).runs), ["arch._target_"], ["tau"])
    assert [label for (label,) in layout.rows] == ["mine.Net", "RKHS", "yours.Net"]


def test_where_nothing_is_said_depth_is_against_tau_and_else_what_tells_apart(tmp_path, found):
    assert default_keys(found) == (["arch.depth"], ["arch.norm", "tau"])
    assert default_keys(found[found["arch.norm"] == "batch"]) == (["arch.depth"], ["tau"])
    numbers = [n for n in published() if n.figure == "flow-1a" and n.value == "final_test_error"]
    sweep = write_runs(tmp_path / "s", [protocol_of(n, 0) for n in numbers], lambda _: Outcome(error=2.0))
    flow = cells(load(sweep.path).runs)
    assert default_keys(flow) == (["arch.layers"], ["arch._target_"])
    layout = pivot(flow, *default_keys(flow))
    assert (layout.rows, layout.columns) == ((("5",), ("10",), ("20",)), (("RKHS",), ("SHL",)))
    assert default_keys(flow, rows=["arch._target_"]) == (["arch._target_"], ["arch.layers"])
    assert default_keys(flow, columns=["arch.layers"]) == (["arch._target_"], ["arch.layers"])


def test_more_columns_than_are_wide_go_into_the_rows(tmp_path):
    SHAPES["five keys"](tmp_path / "s")
    rows, columns = default_keys(cells(load(tmp_path / "s").runs))
    assert rows[0] == "schedule.batch_size"
    assert len(cells(load(tmp_path / "s").runs)[columns].drop_duplicates()) == 8
    assert len({*rows, *columns}) == 5


def test_two_cells_at_one_place_are_refused_with_the_keys_and_advice(found):
    with pytest.raises(
        BadInput, match=r"depth 20 would hold 4 cells, which differ in arch.norm \(\"none\", \"batch\"\)"
    ):
        pivot(found, ["arch.depth"], [])


def test_an_unknown_key_is_answered_with_the_nearest(found):
    with pytest.raises(BadInput, match=r"'arch.dept' is not a key .* nearest: arch.depth"):
        pivot(found, ["arch.dept"], ["tau"])
