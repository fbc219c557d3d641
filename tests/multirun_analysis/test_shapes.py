"""Any study: tables, figures and the report work without options, and say what they chose."""

import pytest
from shapes import SHAPES

import multirun_analysis as ma
from multirun_analysis import command
from multirun_analysis.figures import registry
from multirun_analysis.report.page import render


@pytest.fixture(scope="module", params=list(SHAPES))
def shape(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("shape") / "sweep"
    SHAPES[request.param](path)
    return request.param, path


def test_twenty_shapes_there_are():
    assert len(SHAPES) >= 20


def test_the_table_has_every_cell_and_says_what_it_chose(shape):
    _, path = shape
    sweep = ma.load(path)
    view = ma.table(sweep)
    assert len(view.layout.places) == len(view.layout.cells) == len(ma.cells(sweep.runs, view.layout.cells["value"][0]))
    assert view.choice.startswith("rows ")
    assert "--rows and --columns choose others" in view.choice
    assert len(view.layout.columns) <= 8
    for format in ("csv", "markdown", "latex", "html", "parquet"):
        assert view.content(format)


CHOICES = {
    "lr × depth": ("rows arch.depth; columns schedule.lr", "lr-transfer"),
    "lr × depth × norm × τ": ("rows arch.depth, schedule.lr; columns arch.norm, tau", "lr-transfer"),
    "solver × layers": ("rows arch.layers; columns solver.method", "error-key"),
    "optimizer × seed": ("rows optimizer._target_; columns nothing", "curves"),
    "one number": ("rows optimizer.weight_decay; columns nothing", "error-key"),
    "many by many": ("rows schedule.lr; columns schedule.batch_size", "lr-transfer"),
    "own network": ("rows arch.width; columns nothing", "error-key"),
    "τ a block": ("rows arch.depth; columns tau", "error-depth"),
    "initialisation": ("rows arch.depth; columns tau", "forward-stability"),
    "seeds only": ("rows arch.depth; columns tau", "error-depth"),
    "another program's accuracies": ("rows model.layers; columns lr", "lr-transfer"),
}


def test_numbers_are_on_the_axis(shape):
    name, path = shape
    if name in CHOICES:
        sweep = ma.load(path)
        assert (ma.table(sweep).choice.partition(":")[0], registry.choose(sweep)) == CHOICES[name]


def test_the_commands_that_are_printed_work(shape, monkeypatch, capsys, tmp_path):
    _, path = shape
    for arguments in (["table", path], ["figure", path], ["report", path]):
        output = ["--output", str(tmp_path / "out.html")] if arguments[0] == "report" else []
        output = ["--output", str(tmp_path / "out")] if arguments[0] == "figure" else output
        monkeypatch.setattr("sys.argv", ["multirun-analysis", *map(str, arguments), *output])
        with pytest.raises(SystemExit) as ended:
            command.main()
        out, err = capsys.readouterr()
        assert (ended.value.code or 0, err) == (0, ""), arguments
        assert str(path) in out or arguments[0] == "report"


def test_every_figure_draws_it_or_says_in_a_line_why_not(shape):
    from multirun_analysis.figures.picture import Request
    from taunode.errors import BadInput

    name, path = shape
    sweep = ma.load(path)
    drawn = []
    for figure in registry.FIGURES:
        value = ma.table(sweep).layout.cells["value"].iloc[0]
        for narrow in (False, True):
            try:
                picture = registry.draw(figure, Request(sweep, value, narrow=narrow))
            except BadInput:
                continue
            assert picture.content("csv")
            drawn.append(figure)
    assert registry.choose(sweep) in drawn or name == "planned"


@pytest.mark.parametrize("name", ["five keys", "τ a block", "another program's accuracies"])
def test_the_same_sweep_gives_the_same_bytes(tmp_path, name):
    path = tmp_path / "s"
    SHAPES[name](path)
    first, second = (ma.load(path) for _ in range(2))
    assert ma.table(first).content("csv") == ma.table(second).content("csv")
    assert ma.figure(first).content("pdf") == ma.figure(second).content("pdf")
    assert render(first) == render(second)
