"""Tables: what a position says, and that each format carries all of it."""

import io
import itertools
import shutil
import subprocess

import pandas as pd
import pytest
from rich.console import Console
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_runs

from multirun_analysis import cells, load
from multirun_analysis.cell.layout import default_keys, pivot
from multirun_analysis.cell.paired import with_differences
from multirun_analysis.labels.latex import latex
from multirun_analysis.tables.columns import to_csv, to_parquet
from multirun_analysis.tables.entry import Statistic, entry, note
from multirun_analysis.tables.latex import to_latex
from multirun_analysis.tables.markdown import to_markdown
from multirun_analysis.tables.terminal import to_rich


def cells_of(path, outcomes, **keys):
    """The cells of one configuration whose seeds ended like this."""
    configs = [configuration(seed=seed, **keys) for seed in range(len(outcomes))]
    return cells(load(write_runs(path / "s", configs, lambda c: outcomes[c["seed"]]).path).runs)


def pivoted(found):
    return pivot(found, *default_keys(found))


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        ([Outcome(error=6.5), Outcome(error=6.62), Outcome(error=6.74)], "6.62 ± 0.12 (n=3)"),
        ([Outcome(error=6.62)], "6.62 (n=1)"),
        ([Outcome("diverged")] * 2, "diverged 2/2"),
        ([Outcome("diverged"), Outcome("diverged"), Outcome(error=6.62)], "6.62 (n=1), diverged 2/3"),
        ([Outcome(error=6.62), Outcome("planned")], "6.62 (n=1), 1 planned"),
        ([Outcome("diverged"), Outcome("failed"), Outcome("failed")], "diverged 1/1, 2 failed"),
        ([Outcome("planned")], "1 planned"),
    ],
)
def test_a_position_says_everything_of_its_cell(tmp_path, outcomes, text):
    assert entry(cells_of(tmp_path, outcomes).iloc[0]) == text


@pytest.mark.parametrize(
    ("statistic", "text"),
    [
        (Statistic.SD, "6.00 ± 1.00 (n=3)"),
        (Statistic.INTERVAL, "6.00 [3.52, 8.48] (n=3)"),  # 4.303 / √3
        (Statistic.MEDIAN, "6.00 [5.00, 7.00] (n=3)"),
        (Statistic.BEST, "5.00 (n=3)"),
    ],
)
def test_a_position_shows_the_statistic_that_was_asked_for(tmp_path, statistic, text):
    cell = cells_of(tmp_path, [Outcome(error=error) for error in (5.0, 6.0, 7.0)]).iloc[0]
    assert entry(cell, statistic) == text


def test_a_missing_seed_lowers_n_and_is_said(tmp_path):
    configs = [configuration(depth=depth, seed=seed) for depth in (20, 56) for seed in range(3)]
    runs = load(write_runs(tmp_path / "s", configs[:-1], lambda _: Outcome(error=2.0)).path).runs
    assert [entry(cell) for _, cell in cells(runs).iterrows()] == ["2.00 ± 0.00 (n=3)", "2.00 ± 0.00 (n=2), no seed 2"]
    assert cells(runs[runs["seed"] != 1])["missing"].tolist() == ["", "no seed 2"]


def test_a_hole_is_visible():
    assert entry(None) == "–"


def test_a_finished_run_without_the_value_is_visible(tmp_path):
    runs = load(write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(2)]).path).runs
    runs["final_validation_error"] = [3.0, float("nan")]
    assert entry(cells(runs, "final_validation_error").iloc[0]) == "3.00 (n=1), 1 without value"


@pytest.fixture(scope="module")
def layout(grid_sweep):
    return pivoted(cells(load(grid_sweep).runs))


def test_csv_holds_the_numbers_themselves(layout):
    back = pd.read_csv(io.StringIO(to_csv(layout.cells)), dtype={"tau": "str"}, keep_default_na=True)
    assert len(back) == len(layout.cells) == 12
    for name in ("n", "mean", "sd", "runs", "finished", "diverged"):
        pd.testing.assert_series_equal(
            back[name].astype("float64"), layout.cells[name].astype("float64"), rtol=1e-15, check_exact=False
        )
    assert list(back.columns[:5]) == ["arch.depth", "arch.norm", "tau", "tau.scale", "tau.exponent"]


def test_parquet_is_the_csv_with_types(layout, tmp_path):
    path = tmp_path / "table.parquet"
    path.write_bytes(to_parquet(layout.cells))
    back, text = pd.read_parquet(path), pd.read_csv(io.StringIO(to_csv(layout.cells)))
    assert list(back.columns) == list(text.columns)
    assert back["arch.depth"].dtype == back["n"].dtype == "int64"
    assert back["mean"].equals(layout.cells["mean"])
    assert to_parquet(layout.cells) == path.read_bytes()


def test_csv_has_the_keys_that_vary(tmp_path):
    configs = [configuration(epochs=epochs) for epochs in (5, 20)]
    text = to_csv(cells(load(write_runs(tmp_path / "s", configs).path).runs))
    assert "schedule.epochs" in text.splitlines()[0]


def test_every_entry_is_in_every_text(layout):
    file = io.StringIO()
    Console(file=file, width=300).print(to_rich(layout))
    texts = {"text": file.getvalue(), "markdown": to_markdown(layout, "note"), "latex": to_latex(layout, "note")}
    for _, cell in layout.cells.iterrows():
        for name, text in texts.items():
            assert (latex(entry(cell)) if name == "latex" else entry(cell)) in text


def test_markdown_has_as_many_bars_in_every_line(layout):
    lines = to_markdown(layout, "the note").splitlines()
    assert lines[-1] == "the note"
    assert {line.count("|") for line in lines[:5]} == {6}


def test_latex_has_as_many_columns_in_every_row(layout):
    text = to_latex(layout, "a note\n\\input{evil}")
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert r"\begin{tabular}{rcccc}" in text
    assert rows[0].count(r"\multicolumn{2}{c}") == 2
    assert {row.count(" & ") for row in rows[1:]} == {4}
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-5}" in text
    assert all(line.startswith("%") for line in text.splitlines() if "evil" in line)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"):
        assert text.count(rule) == 1


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles_as_it_is(tmp_path):
    hard = "a_b & 50% {x} \\ ^~ #$ ± Δ − é 中"
    axes = itertools.product((20, 56), (ONE, INVERSE_SQRT, (0.5, 0.5)), ("batch", hard), range(3))
    configs = [configuration(depth, tau, norm, seed) for depth, tau, norm, seed in axes]
    runs = load(write_runs(tmp_path / "s", configs, lambda config: Outcome(error=2.0 + config["seed"])).path).runs
    found = cells(runs)
    texts = [
        to_latex(pivot(found, *keys), hard)
        for keys in ((["arch.norm", "tau"], ["arch.depth"]), (["tau"], ["arch.norm", "arch.depth"]))
    ]
    texts.append(to_latex(with_differences(pivoted(found), runs, "1"), hard, Statistic.INTERVAL))
    for place, text in enumerate(texts):
        (tmp_path / f"table-{place}.tex").write_text(text)
    inputs = "\n\n".join(rf"\input{{table-{place}}}" for place in range(len(texts)))
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{inputs}\end{{document}}"
    (tmp_path / "paper.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")


def test_one_norm_is_not_worth_a_heading(tmp_path):
    configs = [configuration(tau=tau) for tau in (ONE, INVERSE_SQRT)]
    layout = pivoted(cells(load(write_runs(tmp_path / "s", configs).path).runs))
    assert "multicolumn" not in to_latex(layout, "")
    assert "batch" not in to_markdown(layout, "")


def test_square_brackets_and_bars_in_names_stay_text(tmp_path):
    layout = pivoted(cells_of(tmp_path, [Outcome(error=1.0)], norm="[red]a|b[/red]"))
    assert "a|b" not in to_markdown(layout, "").replace(r"\|", "")
    two = [configuration(norm=norm) for norm in ("[red]x[/red]", "batch")]
    layout = pivoted(cells(load(write_runs(tmp_path / "t", two).path).runs))
    file = io.StringIO()
    Console(file=file, width=300).print(to_rich(layout))
    assert "[red]x[/red]" in file.getvalue()


def test_a_note_says_the_unit_and_what_is_not_in_the_numbers(tmp_path, grid_sweep):
    sweep = load(grid_sweep)
    assert "in percent" in note(sweep, "best_test_error")
    assert "chosen by the test set" in note(sweep, "best_test_error")
    assert "percent" not in note(sweep, "seconds")
    for statistic, word in zip(Statistic, ("mean", "mean", "median", "best"), strict=True):
        assert f"6 of 24 runs diverged, not in the {word}" in note(sweep, "final_test_error", statistic)
    batch = load(grid_sweep, where='arch.norm == "batch"')
    assert "diverged" not in note(batch, "final_test_error")
