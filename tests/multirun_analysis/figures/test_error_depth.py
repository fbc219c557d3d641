"""Bars: they are the cells, nothing is left out, and the files are the same whenever they are made."""

import time

import pytest
from matplotlib.patches import Rectangle
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs, write_sweep

from multirun_analysis import cells, load
from multirun_analysis.cell.grid import grid
from multirun_analysis.figures.error_depth import PUBLISHED, error_against_depth, with_published
from multirun_analysis.figures.style import COLUMN, render
from multirun_analysis.papers.published import published


def layout_of(sweep):
    return grid(cells(load(sweep.path).runs))


def bars(axes):
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_a_bar_a_cell_as_high_as_its_mean(tmp_path):
    layout = layout_of(write_sweep(tmp_path / "s", norms=("batch",)))
    figure = error_against_depth(layout)
    (axes,) = figure.axes
    assert sorted(bar.get_height() for bar in bars(axes)) == pytest.approx(sorted(layout.cells["mean"]))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["20", "56", "110"]
    assert axes.get_ylabel() == "final test error (%)"
    assert axes.get_ylim()[0] == 0
    assert len(axes.collections) == 6  # an error bar each


def test_a_panel_a_norm_and_divergence_is_drawn(grid_sweep):
    layout = grid(cells(load(grid_sweep).runs))
    batch, none = error_against_depth(layout).axes
    assert [batch.get_title(), none.get_title()] == ["norm: batch", "norm: none"]
    assert len(bars(none)) == 6
    hatched = [bar for bar in bars(none) if bar.get_hatch()]
    assert {bar.get_height() for bar in hatched} == {none.get_ylim()[1]}
    assert texts(none).count("diverged 2/2") == len(hatched) == 3


def test_holes_and_runs_that_are_not_in_a_mean_are_written(tmp_path):
    configs = [
        configuration(depth, tau, seed=seed) for depth in (20, 56) for tau in (ONE, INVERSE_SQRT) for seed in (0, 1)
    ]
    ends = {(20, 0.0): "diverged", (56, 0.0): "planned"}

    def outcome(config):
        state = ends.get((config["arch"]["depth"], config["tau"]["exponent"]), "done")
        return Outcome(state if config["seed"] else "done", 4.0)

    kept = [config for config in configs if config["tau"]["exponent"] == 0 or config["arch"]["depth"] == 20]
    (axes,) = error_against_depth(layout_of(write_runs(tmp_path / "s", kept, outcome))).axes
    assert {"diverged 1/2", "1 planned", "–"} <= set(texts(axes))


def test_numbers_and_remarks_are_inside_the_axes(tmp_path):
    def outcome(config):
        return Outcome("diverged") if config["seed"] else Outcome(error=97.0 if config["arch"]["depth"] > 50 else 1.5)

    for taus in ((ONE,), (ONE, INVERSE_SQRT, (0.5, 0.5), (1.0, 0.25), (0.1, 0.0), (1.0, 1.0))):
        sweep = write_sweep(tmp_path / str(len(taus)), taus=taus, norms=("batch",), outcome=outcome)
        figure = error_against_depth(layout_of(sweep))
        figure.draw_without_rendering()
        (axes,) = figure.axes
        for text in axes.texts:
            if text.get_text():
                assert text.get_window_extent().y1 <= axes.get_window_extent().y1 * 1.01


def test_the_width_is_one_column_where_the_numbers_fit(tmp_path):
    depths = (20, 32, 44, 56, 110)
    small = write_sweep(tmp_path / "small", depths, norms=("batch",), outcome=lambda _: Outcome(error=6.62))
    large = write_sweep(tmp_path / "large", depths=range(20, 80, 6), norms=("batch",))
    assert error_against_depth(layout_of(small)).get_figwidth() == COLUMN
    assert error_against_depth(layout_of(large)).get_figwidth() > COLUMN


def test_a_sweep_without_any_result_is_drawn(tmp_path):
    for state in ("planned", "diverged"):
        layout = layout_of(write_sweep(tmp_path / state, outcome=lambda _, s=state: Outcome(s)))
        assert f"2 {state}" in texts(error_against_depth(layout).axes[0]) or state == "diverged"
        assert render(error_against_depth(layout), "png")


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_the_same_sweep_gives_the_same_bytes(grid_sweep, suffix, monkeypatch):
    def made():
        return render(error_against_depth(grid(cells(load(grid_sweep).runs))), suffix)

    first = made()
    later = time.time() + 1e6
    monkeypatch.setattr(time, "time", lambda: later)
    assert made() == first


def test_fonts_of_the_pdf_are_true_type(grid_sweep):
    content = render(error_against_depth(grid(cells(load(grid_sweep).runs))), "pdf")
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


def test_published_numbers_are_hollow_bars_beside_ours_also_where_we_have_none(tmp_path):
    numbers = [number for number in published() if number.experiment == "cifar_depth_bn"]
    sweep = write_sweep(tmp_path / "s", norms=("batch",), outcome=lambda _: Outcome(error=6.5))
    shown = with_published(cells(load(sweep.path).runs), numbers)
    layout = grid(shown)
    assert layout.depths == ("20", "32", "56", "110", "1202")
    assert layout.taus == ("1", "1" + PUBLISHED, "L^-1/2", "L^-1/2" + PUBLISHED)
    assert layout.at("110", "batch", "L^-1/2" + PUBLISHED)["mean"] == 5.84
    (axes,) = error_against_depth(layout).axes
    hollow = [bar for bar in bars(axes) if bar.get_facecolor()[:3] == (1, 1, 1)]
    assert sorted(bar.get_height() for bar in hollow) == [5.02, 5.84, 6.18, 6.62, 6.74, 6.93, 7.17, 7.4, 7.9, 8.08]
    colours = {bar.get_edgecolor() for bar in hollow}
    assert colours == {bar.get_edgecolor() for bar in bars(axes) if bar not in hollow}
    assert len(axes.collections) == 6  # published numbers without sd have no error bar
