"""The command line: what it writes, its exit codes, one line for every mistake, and how little `--help` imports."""

import json
import subprocess
import sys

import pandas as pd
import pytest
from shapes import SHAPES
from synthetic import Outcome, configuration, protocol_of, write_runs

from multirun_analysis.papers.published import published


def files_of(path):
    return {str(file): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_the_table_on_the_terminal(grid_sweep, call):
    code, out, err = call("table", grid_sweep)
    assert (code, err) == (0, "")
    assert "diverged 2/2" in out
    assert out.count("(n=2)") == 9
    assert out.splitlines()[-2].startswith(f"{grid_sweep}: final_test_error")
    assert out.splitlines()[-1] == "rows arch.depth; columns arch.norm, tau: --rows and --columns choose others"
    both = ("--rows", "arch.depth", "--columns", "arch.norm,tau")
    assert "choose others" not in call("table", grid_sweep, *both)[1]


@pytest.mark.parametrize("name", ["csv", "markdown", "latex"])
def test_a_format_is_the_same_on_stdout_and_in_a_file(grid_sweep, tmp_path, call, name):
    path = tmp_path / "deep" / f"table.{ {'csv': 'csv', 'markdown': 'md', 'latex': 'tex'}[name] }"
    _, printed, _ = call("table", grid_sweep, "--format", name)
    assert call("table", grid_sweep, "--output", path) == (0, f"{path}\n", "")
    assert path.read_text() == printed


def test_value_and_where(grid_sweep, call):
    code, out, _ = call("table", grid_sweep, "--value", "best_test_error", "--where", 'arch.norm == "batch"')
    assert code == 0
    assert "norm" not in out
    assert "best_test_error" in out


def test_the_best_rate_of_each_alone(tmp_path, call):
    """A tuned sweep has no rates left, so that it asks for another figure."""
    SHAPES["lr × depth"](tmp_path / "s")
    code, out, _ = call("table", tmp_path / "s", "--tuned", "schedule.lr")
    assert (code, out.count(", lr 0.1")) == (0, 3)
    code, out, _ = call("figure", tmp_path / "s", "--tuned", "schedule.lr")
    assert code == 0
    assert "error-depth.csv" in out
    code, _, err = call("table", tmp_path / "s", "--tuned", "schedule.rl")
    assert (code, err.count("\n")) == (2, 1)
    assert "nearest: schedule.lr" in err


def test_any_pivot_any_moment_any_statistic_against_any_baseline(grid_sweep, tmp_path, call):
    code, out, _ = call(
        *("table", grid_sweep, "--value", "test_error", "--at", "best", "--rows", "tau, arch.norm"),
        *("--columns", "arch.depth", "--statistic", "interval", "--baseline", "20", "--format", "markdown"),
    )
    assert code == 0
    assert out.splitlines()[0] == "| τ | norm | depth 20 | depth 56 | depth 110 |"
    assert "Δ " in out
    for text in ("best_test_error", "95 % interval", "chosen by the test set", "Δ: to 20"):
        assert text in out.splitlines()[-1]
    path = tmp_path / "table.parquet"
    assert call("table", grid_sweep, "--at", "epoch:2", "--output", path)[0] == 0
    assert pd.read_parquet(path)["value"].unique().tolist() == ["test_error@2"]


def test_figures_are_not_written_through_a_link_that_lies_in_the_sweep(tmp_path, call):
    sweep = write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(2)]).path
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "error-depth.png").write_text("mine")
    (sweep / "figures").symlink_to(tmp_path / "thesis")
    code, out, err = call("figure", sweep)
    assert (code, out) == (2, "")
    assert "figures is a symbolic link" in err
    assert [file.read_text() for file in (tmp_path / "thesis").iterdir()] == ["mine"]


def test_the_figure_and_the_csv_it_plots(tmp_path, call):
    sweep = write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(2)]).path
    code, out, err = call("figure", sweep)
    paths = [sweep / "figures" / f"error-depth.{suffix}" for suffix in ("png", "pdf", "csv")]
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == [str(path) for path in paths]
    assert paths[0].read_bytes()[:4] == b"\x89PNG"
    assert paths[1].read_bytes()[:5] == b"%PDF-"
    assert paths[2].read_text() == call("table", sweep, "--format", "csv")[1]
    first = files_of(sweep)
    call("figure", sweep)
    assert files_of(sweep) == first
    call("figure", sweep, "--output", tmp_path / "tau-0.5.pdf")
    assert sorted(path.name for path in tmp_path.glob("tau*")) == ["tau-0.5.csv", "tau-0.5.pdf", "tau-0.5.png"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["table", "{nowhere}"], "is not a sweep directory: it does not exist"),
        (["figure", "{empty}"], "is not a sweep directory: it has neither"),
        (["table", "{sweep}", "--value", "final_error"], "nearest: final_test_error"),
        (["table", "{sweep}", "--where", "arch.dept == 20"], "nearest: arch.depth"),
        (["table", "{sweep}", "--where", "arch.depth ="], "is not an expression"),
        (["figure", "{sweep}", "--where", "arch.depth > 999"], "has no run with arch.depth > 999"),
        (
            ["figure", "{sweep}", "bars"],
            "'bars' is not a figure; nearest: probes, curves, coordinate-check, error-depth",
        ),
        (["figure", "{sweep}", "forward-stability"], "needs runs with schedule=initialisation"),
        (["figure", "{sweep}", "--where", 'arch.norm == "none"', "--paper"], "has a published number"),
        (["table", "{sweep}", "--output", "{empty}/table.doc"], "one of .csv, .md, .tex, .parquet"),
        (["table", "{sweep}", "--format", "parquet"], "needs --output FILE.parquet"),
        (["table", "{sweep}", "--rows", "arch.dept"], "nearest: arch.depth"),
        (["table", "{sweep}", "--rows", "arch.depth", "--columns", "arch.norm"], "which differ in tau.exponent"),
        (["figure", "{sweep}", "--along", "schedule.rate"], "is no key and no number of these runs"),
        (["figure", "{sweep}", "error-key", "--lines", "arch.dept"], "nearest: arch.depth"),
        (["table", "{sweep}", "--at", "last"], "valid: final, best, epoch:N"),
        (["table", "{sweep}", "--baseline", "2"], "τ: 1, L^-1/2"),
        (["table", "{sweep}", "--output", "{empty}/table.md", "--format", "csv"], "is markdown, but --format says csv"),
        (["table", "{sweep}", "--format", "html"], "'text', 'csv', 'markdown', 'latex', 'parquet'"),
        (["table", "{sweep}", "--output", "/dev/null/table.md"], "cannot write /dev/null/table.md"),
        (["table", "{sweep}", "--valeu", "x"], "--value"),
        (["table"], "Missing"),
        (["tabel", "{sweep}"], "'table'"),
        ([], "Missing command"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(grid_sweep, tmp_path, call, arguments, says):
    (tmp_path / "empty").mkdir()
    places = {"sweep": grid_sweep, "nowhere": tmp_path / "nowhere", "empty": tmp_path / "empty"}
    before = files_of(grid_sweep) | files_of(tmp_path)
    code, out, err = call(*(argument.format(**places) for argument in arguments))
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert files_of(grid_sweep) | files_of(tmp_path) == before


def test_the_figure_beside_the_papers(tmp_path, call):
    numbers = [number for number in published() if number.figure in ("tau-cifar-depth", "flow-1a")]
    for number in (numbers[0], numbers[-1]):
        path = tmp_path / number.figure
        sweep = write_runs(path, [protocol_of(number, 0)], lambda _: Outcome(error=3.0)).path
        code, out, _ = call("figure", sweep, "--paper")
        assert code == 0
        name = "error-depth" if number is numbers[0] else "curves"
        assert out.splitlines()[0] == str(path / "figures" / f"{name}.png")
        named = call("figure", sweep, name, "--paper", "--output", tmp_path / "named")
        assert (tmp_path / "named.png").read_bytes() == (path / "figures" / f"{name}.png").read_bytes()
        assert named[0] == 0


def test_two_sweeps_are_compared(tmp_path, call):
    for name, epochs in (("a", 5), ("b", 6)):
        configs = [configuration(seed=seed, epochs=epochs) for seed in range(3)]
        write_runs(
            tmp_path / name, configs, lambda config: Outcome(error=config["schedule"]["epochs"] + config["seed"])
        )
    code, out, err = call("compare", tmp_path / "a", tmp_path / "b")
    assert (code, err) == (0, "")
    for text in ("no cell in common", "runs that only one has", "schedule.epochs", "keys that differ"):
        assert text in out
    ignored = ("--ignore", "schedule.epochs,schedule.milestones")
    out = call("compare", tmp_path / "a", tmp_path / "b", *ignored)[1]
    assert "+1.00 [+1.00, +1.00]" in out
    assert "3 pairs" in out
    path = tmp_path / "c.csv"
    assert call("compare", tmp_path / "a", tmp_path / "b", *ignored, "--output", path)[0] == 0
    assert pd.read_csv(path)["difference"].tolist() == [1.0]
    assert call("compare", tmp_path / "a", tmp_path / "b", "--output", tmp_path / "c.md")[0] == 2


def test_verify_says_a_line_a_number_and_fails_where_one_differs(tmp_path, call):
    number = next(number for number in published() if number.figure == "flow-1a")
    configs = [protocol_of(number, seed) for seed in range(3)]
    near = write_runs(tmp_path / "near", configs, lambda _: Outcome(error=2.1)).path
    far = write_runs(tmp_path / "far", configs, lambda _: Outcome(error=9.0)).path
    code, out, err = call("verify", near)
    assert (code, err) == (0, "")
    first = out.splitlines()[1]
    assert first.split("  ")[:2] == ["flow-1a", "RkhsNode layers=5 channels=32 passes=0"]
    for text in ("2.10 ± 0.00 (n=3)", "2.14 ± 0.16 (n=20)", "-0.04", "reproduced"):
        assert text in first
    assert len(out.splitlines()) == 5
    assert out.splitlines()[-2] == "not run: 10 lines of mnist_fig1a"
    assert out.splitlines()[-1].startswith("2 reproduced, 10 not run; 2 lines judged together")
    code, out, err = call("verify", far)
    assert (code, err) == (1, "")
    assert out.splitlines()[-1].startswith("2 differs, 10 not run")
    assert len(call("verify", far, "--all")[1].splitlines()) > 60
    assert call("verify", far, "--where", "seed == 1")[0] == 0


def test_what_is_not_comparable_is_said_once(grid_sweep, call):
    code, out, _ = call("verify", grid_sweep, "--common-sd")
    assert code == 0
    assert out.count("\n") == 3
    assert out.startswith("not comparable: 6 lines of cifar_depth_bn: ")


def test_verify_of_networks_that_nobody_published_is_bad_input(tmp_path, call):
    code, out, err = call("verify", write_runs(tmp_path / "s", [configuration(depth=26)]).path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "experiments that have: cifar_depth_bn, mnist_fig1a" in err


def test_several_sweeps_are_one(tmp_path, call):
    for name, seed in (("a", 0), ("b", 1), ("c", 2)):
        write_runs(tmp_path / name, [configuration(seed=seed)], lambda config: Outcome(error=2.0 + config["seed"]))
    more = ["--also", tmp_path / "b", "--also", tmp_path / "c"]
    code, out, err = call("table", tmp_path / "a", *more)
    assert (code, err) == (0, "")
    assert "3.00 ± 1.00 (n=3)" in out
    assert str(tmp_path / "c") in out.splitlines()[-2]
    assert call("table", tmp_path / "a", "--also", tmp_path / "d")[0] == 2


def test_two_cells_at_one_place_are_bad_input(tmp_path, call):
    sweep = write_runs(tmp_path / "s", [configuration(epochs=epochs) for epochs in (5, 20)]).path
    code, _, err = call("table", sweep, "--rows", "arch.depth", "--columns", "tau")
    assert code == 2
    assert "schedule.epochs (5, 20)" in err
    assert "add it to --columns, or choose with --where 'schedule.epochs == 5'" in err
    assert err.count("\n") == 1
    assert call("table", sweep)[1].count("(n=1)") == 2
    assert call("figure", sweep)[0] == 0


def test_published_numbers_of_another_protocol_are_listed_and_not_drawn(grid_sweep, tmp_path, call):
    plain, beside = tmp_path / "plain", tmp_path / "beside"
    call("figure", grid_sweep, "--output", plain)
    code, out, _ = call("figure", grid_sweep, "--paper", "--output", beside)
    assert code == 0
    assert plain.with_suffix(".png").read_bytes() == beside.with_suffix(".png").read_bytes()
    said = out.splitlines()[-1].partition("published numbers not drawn: ")[2]
    assert said.startswith("6 of cifar_depth_bn, not comparable (dataset.")
    assert said.endswith("4 of cifar_depth_bn, not run")


def test_different_code_is_said_on_stderr(tmp_path, call):
    runs = list(write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(2)], lambda _: Outcome()))
    assert call("table", tmp_path / "s")[2] == ""
    for digest, run in zip(("aaaa", "bbbb"), runs, strict=True):
        record = json.loads(run.record.read_bytes())
        record["attempts"][0]["code"] = digest
        run.record.write_text(json.dumps(record))
    code, out, err = call("table", tmp_path / "s")
    assert (code, err) == (0, "multirun-analysis: attempts of these runs ran different code: aaaa, bbbb\n")
    assert "n=2" in out


def test_broken_runs_are_said_on_stderr_and_the_others_are_shown(tmp_path, call):
    runs = list(
        write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(3)], lambda _: Outcome(error=2.0))
    )
    runs[0].config.write_text("a: [")
    code, out, err = call("table", tmp_path / "s")
    assert code == 0
    assert "2.00 ± 0.00 (n=2)" in out
    assert err.count("\n") == 1
    assert runs[0].path.name in err
    for run in runs:
        run.record.unlink()
    code, _, err = call("table", tmp_path / "s")
    assert code == 2
    assert err.splitlines()[-1].endswith("has no run that can be read")


IMPORTED = """
import sys
from multirun_analysis.command import main
try:
    main()
finally:
    heavy = {"torch", "hydra", "omegaconf", "pandas", "numpy", "matplotlib", "scipy", "scipy.stats"}
    print(*sorted(heavy & set(sys.modules)))
"""


def imported_by(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["table", "--help"], ["figure", "--help"], ["verify", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    assert imported_by(*arguments) == set()


def test_a_table_needs_no_matplotlib_and_a_figure_no_torch(grid_sweep, tmp_path):
    assert imported_by("table", grid_sweep) == {"pandas", "numpy", "scipy"}
    assert imported_by("verify", grid_sweep) == {"pandas", "numpy"}
    assert imported_by("figure", grid_sweep, "--output", tmp_path / "figure") == {
        "pandas",
        "numpy",
        "scipy",
        "matplotlib",
    }


def test_completion_is_offered():
    code = "import sys; sys.argv = ['multirun-analysis']; from multirun_analysis.command import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"_MULTIRUN_ANALYSIS_COMPLETE": "complete_bash", "COMP_WORDS": "multirun-analysis ta", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["table"]
