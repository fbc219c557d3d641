"""Bars: they are the cells, nothing is left out, and the files are the same whenever they are made."""

import time

import pytest
from matplotlib.patches import Rectangle
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs, write_sweep

from multirun_analysis import load
from multirun_analysis.cell.cells import number_of
from multirun_analysis.figures.error_depth import PUBLISHED, draw
from multirun_analysis.figures.picture import Request
from multirun_analysis.figures.style import COLUMN
from multirun_analysis.papers.published import published
from taunode.errors import BadInput


def drawn(sweep, **options):
    return draw(Request(load(getattr(sweep, "path", sweep)), **options))


def bars(axes):
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_a_bar_a_cell_as_high_as_its_mean(tmp_path):
    picture = drawn(write_sweep(tmp_path / "s", norms=("batch",)))
    (axes,) = picture.figure.axes
    assert sorted(bar.get_height() for bar in bars(axes)) == pytest.approx(sorted(picture.table["mean"]))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["20", "56", "110"]
    assert axes.get_ylabel() == "final test error (%)"
    assert axes.get_ylim()[0] == 0
    assert len(axes.collections) == 6  # an error bar each


def test_a_panel_a_norm_and_divergence_is_drawn(grid_sweep):
    batch, none = drawn(grid_sweep).figure.axes
    assert [batch.get_title(), none.get_title()] == ["norm batch", "norm none"]
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
    (axes,) = drawn(write_runs(tmp_path / "s", kept, outcome)).figure.axes
    assert {"diverged 1/2", "1 planned", "–"} <= set(texts(axes))


def test_numbers_and_remarks_are_inside_the_axes(tmp_path):
    def outcome(config):
        return Outcome("diverged") if config["seed"] else Outcome(error=97.0 if config["arch"]["depth"] > 50 else 1.5)

    for taus in ((ONE,), (ONE, INVERSE_SQRT, (0.5, 0.5), (1.0, 0.25), (0.1, 0.0), (1.0, 1.0))):
        sweep = write_sweep(tmp_path / str(len(taus)), taus=taus, norms=("batch",), outcome=outcome)
        figure = drawn(sweep).figure
        figure.draw_without_rendering()
        (axes,) = figure.axes
        for text in axes.texts:
            if text.get_text():
                assert text.get_window_extent().y1 <= axes.get_window_extent().y1 * 1.01


def test_the_width_is_one_column_where_the_numbers_fit(tmp_path):
    depths = (20, 32, 44, 56, 110)
    small = write_sweep(tmp_path / "small", depths, norms=("batch",), outcome=lambda _: Outcome(error=6.62))
    large = write_sweep(tmp_path / "large", depths=range(20, 80, 6), norms=("batch",))
    assert drawn(small).figure.get_figwidth() == COLUMN
    assert drawn(large).figure.get_figwidth() > COLUMN


def test_for_a_phone_panels_are_one_below_the_other(grid_sweep):
    wide, narrow = drawn(grid_sweep).figure, drawn(grid_sweep, narrow=True).figure
    assert narrow.get_figwidth() == COLUMN < wide.get_figwidth()
    assert narrow.get_figheight() > 1.5 * wide.get_figheight()
    left = {round(axes.get_subplotspec().colspan.start) for axes in narrow.axes}
    assert left == {0}


def test_what_else_varies_has_panels(tmp_path):
    configs = [
        configuration(depth, tau, seed=seed) for depth in (20, 56) for tau in (ONE, INVERSE_SQRT) for seed in (0, 1)
    ]
    twice = [config | {"schedule": config["schedule"] | {"lr": rate}} for config in configs for rate in (0.1, 0.2)]
    picture = drawn(write_runs(tmp_path / "s", twice))
    assert [axes.get_title() for axes in picture.figure.axes] == ["lr 0.1", "lr 0.2"]
    assert sum(len(bars(axes)) for axes in picture.figure.axes) == 8


def test_a_sweep_without_any_result_is_drawn(tmp_path):
    for state in ("planned", "diverged"):
        picture = drawn(write_sweep(tmp_path / state, outcome=lambda _, s=state: Outcome(s)))
        assert f"2 {state}" in texts(picture.figure.axes[0]) or state == "diverged"
        assert picture.content("png")


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_the_same_sweep_gives_the_same_bytes(grid_sweep, suffix, monkeypatch):
    first = drawn(grid_sweep).content(suffix)
    later = time.time() + 1e6
    monkeypatch.setattr(time, "time", lambda: later)
    assert drawn(grid_sweep).content(suffix) == first


def test_fonts_of_the_pdf_are_true_type(grid_sweep):
    content = drawn(grid_sweep).content("pdf")
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


def test_published_numbers_are_hollow_bars_beside_the_cells_that_they_are_compared_with(tmp_path):
    sweep = load(write_sweep(tmp_path / "s", norms=("batch",), outcome=lambda _: Outcome(error=6.5)).path)
    runs = sweep.runs.assign(cell=number_of(sweep.runs))
    places = {(row["arch.depth"], row["tau.exponent"]): row["cell"] for row in runs.to_dict("records")}
    numbers = [number for number in published() if number.figure == "tau-cifar-depth"]
    pairs = [
        (number, places[key])
        for number in numbers
        if (key := (number.position["arch.depth"], number.position["tau.exponent"])) in places and key[0] != 56
    ]
    picture = draw(Request(sweep, published=tuple(pairs)))
    (axes,) = picture.figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["20", "56", "110"]  # and no 1202, which we have not
    hollow = [bar for bar in bars(axes) if bar.get_facecolor()[:3] == (1, 1, 1)]
    assert sorted(bar.get_height() for bar in hollow) == [5.84, 6.62, 7.9, 8.08]
    colours = {bar.get_edgecolor() for bar in hollow}
    assert colours == {bar.get_edgecolor() for bar in bars(axes) if bar not in hollow}
    assert len(axes.collections) == 6  # published numbers without sd have no error bar
    labels = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert labels == ["τ = $1$", "τ = $1$" + PUBLISHED, "τ = $L^{-1/2}$", "τ = $L^{-1/2}$" + PUBLISHED]


def test_networks_without_depth_are_refused(tmp_path):
    config = configuration()
    del config["arch"]["depth"]
    runs = load(write_runs(tmp_path / "s", [configuration()]).path)
    runs.runs = runs.runs.drop(columns="arch.depth")
    runs.runs.attrs["keys"] = [key for key in runs.runs.attrs["keys"] if key != "arch.depth"]
    with pytest.raises(BadInput, match="error-key draws against any key"):
        draw(Request(runs))
