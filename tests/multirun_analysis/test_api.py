"""Views: what the commands show, as objects; and the tutorial runs from its first line to its last."""

import html
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from synthetic import Outcome, configuration, protocol_of, write_runs

import multirun_analysis as ma
from multirun_analysis.papers.published import published
from taunode.errors import BadInput

TUTORIAL = Path(__file__).parents[2] / "docs" / "analysis.py"


@pytest.fixture(scope="module")
def sweep(grid_sweep):
    return ma.load(grid_sweep)


def test_a_sweep_says_how_it_stands(sweep, tmp_path):
    assert sweep.summary == f"{sweep.path}: 24 runs, 18 done, 6 diverged"
    assert repr(sweep) == f"Sweep({sweep.summary})"
    runs = list(write_runs(tmp_path / "<b>", [configuration(seed=seed) for seed in range(2)]))
    runs[0].config.write_text("a: [")
    broken = ma.load(tmp_path / "<b>")
    assert broken.summary.endswith("1 runs, 1 done; 1 could not be read")
    assert "<b>" not in broken._repr_html_()
    assert runs[0].path.name in broken._repr_html_()


def test_a_table_has_one_content_a_format(sweep):
    table = ma.table(sweep, baseline="1")
    assert str(table) == table.content("markdown").decode()
    assert table.content("latex").startswith(b"%")
    assert table.content("csv").count(b"\n") == 13
    assert table.content("parquet")[:4] == b"PAR1"
    with pytest.raises(BadInput, match="valid: csv, markdown, latex, html, parquet"):
        table.content("word")


def test_html_has_every_entry_and_nothing_of_a_name_is_markup(tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    configs = [configuration(norm=norm, seed=seed) for norm in ("batch", evil) for seed in range(2)]
    sweep = ma.load(write_runs(tmp_path / "s", configs, lambda _: Outcome(error=2.0)).path)
    shown = ma.table(sweep)._repr_html_()
    assert shown.count("2.00 ± 0.00 (n=2)") == 2
    assert evil not in shown
    assert html.escape(evil) in shown


def test_a_figure_shows_itself_and_has_its_table(sweep):
    figure = ma.figure(sweep, "heat-map")
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert figure.content("pdf").startswith(b"%PDF")
    assert figure.content("csv").count(b"\n") == 13
    with pytest.raises(BadInput, match="has a published number"):
        ma.figure(ma.load(sweep.path, where='arch.norm == "none"'), paper=True)


def test_verdicts_are_a_table_with_a_summary(tmp_path):
    number = next(number for number in published() if number.figure == "flow-1a")
    configs = [protocol_of(number, seed) for seed in range(3)]
    found = ma.verify(ma.load(write_runs(tmp_path / "s", configs, lambda _: Outcome(error=2.1)).path))
    assert found.summary == "2 reproduced, 10 not run; 2 lines judged together (Holm, 5 % a command)"
    assert found.without_runs == ["not run: 10 lines of mnist_fig1a"]
    assert not found.differs
    assert found.table["verdict"].tolist()[:2] == ["reproduced"] * 2
    assert "2.10 ± 0.00 (n=3)" in str(found)
    assert "<table" in found._repr_html_()


def test_a_comparison_has_its_parts(sweep, tmp_path):
    write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(3)])
    found = ma.compare(sweep.path, tmp_path / "s")
    assert list(found.parts)[1:] == ["runs that only one has", "keys that differ"]
    assert all(heading in str(found) for heading in found.parts)
    assert found._repr_html_().count("<table") == 3


def test_the_tutorial_runs(grid_sweep, tmp_path, monkeypatch, capsys):
    shutil.copytree(grid_sweep, tmp_path / "s", symlinks=True)
    monkeypatch.setattr(sys, "argv", [str(TUTORIAL), str(tmp_path / "s")])
    runpy.run_path(str(TUTORIAL), run_name="__main__")
    out = capsys.readouterr().out
    for text in ("24 runs, 18 done, 6 diverged", "Δ ", "diverged 2/2", "not comparable", "test_error@1"):
        assert text in out
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"commands", "runs", "table.tex", "error.pdf"}
