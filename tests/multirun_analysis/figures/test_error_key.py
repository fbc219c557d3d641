"""Error against any key: numbers where they are, words side by side, and the caption says what was chosen."""

import numpy as np
import pytest
from figure_parts import all_points, crosses, labels
from shapes import SHAPES
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs, write_sweep

from multirun_analysis import figure, load
from taunode.errors import BadInput


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    path = tmp_path_factory.mktemp("rates") / "s"
    SHAPES["lr × depth"](path)
    return load(path)


def test_points_are_the_means_against_the_chosen_key(rates):
    picture = figure(rates, "error-key", along="schedule.lr")
    (axes,) = picture.figure.axes
    known = picture.table[picture.table["n"] > 0]
    np.testing.assert_allclose(all_points(axes), known[["schedule.lr", "mean"]].sort_values(["schedule.lr", "mean"]))
    assert (axes.get_xlabel(), axes.get_xscale()) == ("lr", "log")
    assert labels(picture.figure) == ["depth 20", "depth 56", "depth 110"]
    assert "lr on the axis, lines: arch.depth, panels: nothing" in picture.note


def test_without_a_word_it_is_against_depth(rates):
    picture = figure(rates, "error-key")
    assert picture.figure.axes[0].get_xlabel() == "depth"
    assert [tick.get_text() for tick in picture.figure.axes[0].get_xticklabels()] == ["20", "56", "110"]


def test_lines_and_panels_are_those_that_are_said(rates):
    picture = figure(rates, "error-key", along="schedule.lr", panels=["arch.depth"])
    assert [axes.get_title() for axes in picture.figure.axes] == ["depth 20", "depth 56", "depth 110"]
    with pytest.raises(BadInput, match=r"nearest: arch\.depth"):
        figure(rates, "error-key", panels=["arch.dept"])
    with pytest.raises(BadInput, match=r"nearest: schedule\.lr"):
        figure(rates, "error-key", along="schedule.rl")


def test_a_number_that_follows_from_the_configuration_can_be_the_axis(rates):
    picture = figure(rates, "error-key", along="blocks", lines=["schedule.lr"])
    assert set(all_points(picture.figure.axes[0])[:, 0]) == {9, 27, 54}
    assert picture.figure.axes[0].get_xlabel() == "blocks L"
    noisy = load(rates.path)
    noisy.runs["noise"] = range(len(noisy.runs))
    with pytest.raises(BadInput, match="'noise' differs between the seeds of a cell"):
        figure(noisy, "error-key", along="noise")


def test_words_stand_side_by_side_and_are_not_joined(tmp_path):
    SHAPES["one word"](tmp_path / "s")
    (axes,) = figure(load(tmp_path / "s"), "error-key").figure.axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["batch", "layer", "none"]
    assert all(line.get_linestyle() == "None" for line in axes.lines if line.get_marker() == "o")


def test_what_diverged_is_above_and_what_partly_did_is_hollow(tmp_path):
    def outcome(config):
        depth, seed = config["arch"]["depth"], config["seed"]
        return Outcome("diverged") if depth == 110 or (depth == 56 and seed) else Outcome(error=5.0)

    sweep = load(write_sweep(tmp_path / "s", taus=(ONE,), norms=("batch",), outcome=outcome).path)
    picture = figure(sweep, "error-key")
    (axes,) = picture.figure.axes
    assert [x for x, _ in crosses(axes)] == [110]
    hollow = [line for line in axes.lines if line.get_marker() == "o" and line.get_markerfacecolor() == "w"]
    assert [list(line.get_xdata()) for line in hollow] == [[56]]
    assert "some seeds diverged" in labels(picture.figure)


def test_a_cross_has_its_lines_mark_where_lines_share_a_colour(grid_sweep):
    (axes,) = figure(load(grid_sweep), "error-key", lines=["tau", "arch.norm"], panels=[]).figure.axes
    look = {line.get_marker() for line in axes.lines if line.get_transform() != axes.transData}
    assert len(look) == 2
    assert "x" in look
    (mark,) = look - {"x"}
    lines = [line for line in axes.lines if line.get_transform() == axes.transData and line.get_marker() == mark]
    assert len(lines) == 1  # of τ = 1 without norm all diverged: its twin with τ = L^-1/2 is there


def test_everything_is_inside_the_axes(grid_sweep):
    picture = figure(load(grid_sweep), "error-key")
    for axes in picture.figure.axes:
        low, high = axes.get_ylim()
        table = picture.table[picture.table["n"] > 0]
        assert low <= (table["mean"] - table["sd"]).clip(lower=0).min()
        assert min((table["mean"] + table["sd"]).max(), 100) <= high


def test_cells_without_the_key_are_counted(tmp_path):
    configs = [configuration(seed=seed) for seed in range(3)]
    configs[0]["arch"]["wings"] = 8
    configs[1]["arch"]["wings"] = 16
    picture = figure(load(write_runs(tmp_path / "s", configs).path), "error-key", along="arch.wings")
    assert "1 cells without a value of arch.wings are not drawn" in picture.note


def test_runs_that_differ_in_nothing_are_refused(tmp_path):
    sweep = load(write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(3)]).path)
    with pytest.raises(BadInput, match="differ in nothing but the seed"):
        figure(sweep, "error-key")


def test_the_best_rate_of_each_line_has_a_star(rates):
    picture = figure(rates, "lr-transfer")
    (axes,) = picture.figure.axes
    stars = {line.get_color(): list(line.get_xdata()) for line in axes.lines if line.get_marker() == "*"}
    assert len(stars) == 3
    assert all(found == [0.1] for found in stars.values())
    assert picture.note.endswith("stars: the best lr of each line")


def test_a_rate_is_transferred_along_the_depth_and_the_rest_are_panels(tmp_path):
    SHAPES["lr × depth × norm × τ"](tmp_path / "s")
    sweep = load(tmp_path / "s")
    picture = figure(sweep, "lr-transfer")
    assert "lines: arch.depth, panels: arch.norm, tau" in picture.note
    assert len(picture.figure.axes) == 4
    assert labels(picture.figure)[:2] == ["depth 20", "depth 110"]
    assert "lines: tau, panels: arch.norm, arch.depth" in figure(sweep, "lr-transfer", lines=["tau"]).note


def test_without_rates_there_is_no_transfer(grid_sweep):
    with pytest.raises(BadInput, match="needs a learning rate with several values"):
        figure(load(grid_sweep), "lr-transfer")


def test_a_fit_goes_through_a_power_law_and_says_its_numbers(tmp_path):
    def outcome(config):
        blocks = (config["arch"]["depth"] - 2) // 2
        return Outcome(error=3 + 20 * blocks**-0.5)

    sweep = load(
        write_sweep(tmp_path / "s", (20, 32, 56, 110, 206), (INVERSE_SQRT,), ("batch",), (0,), outcome=outcome).path
    )
    picture = figure(sweep, "scaling")
    assert "all: a + b·x^c, a = 3" in picture.note
    assert "c = -0.5" in picture.note
    assert picture.figure.axes[0].get_xlabel() == "blocks L"
    with pytest.raises(BadInput, match="needs networks of several sizes"):
        figure(load(sweep.path, where="arch.depth == 20"), "scaling")
