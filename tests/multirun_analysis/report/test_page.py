"""The report's content: the same bytes, everything there, and nothing of a sweep that a browser would take for HTML."""

import base64
import hashlib
import json
import re
import shlex
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from hostile import HTML, write_hostile
from synthetic import INVERSE_SQRT, ONE, Outcome, configuration, write_initialisations, write_runs, write_sweep

from multirun_analysis import cells, load
from multirun_analysis.labels.values import text
from multirun_analysis.report import failures, origin, packed, results, rows
from multirun_analysis.report.configuration import varying_and_shared
from multirun_analysis.report.facets import facets
from multirun_analysis.report.page import Page, render
from multirun_analysis.report.tail import LINES, tail
from taunode.errors import BadInput
from taunode.runs.files import to_yaml, write_json, write_text


class Elements(HTMLParser):
    """What a page is made of: its elements with their attributes, the text, and what the scripts hold."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements, self.text, self.scripts, self.styles, self._inside = [], [], [], [], None
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = None

    @property
    def said(self):
        """The text, with its white space as a browser shows it."""
        return " ".join(" ".join(self.text).split())

    def handle_data(self, data):
        {"script": self.scripts, "style": self.styles}.get(self._inside, self.text).append(data)


@pytest.fixture(scope="module")
def page(grid_sweep):
    return Elements(render(load(grid_sweep)))


def test_the_same_sweep_gives_the_same_bytes(grid_sweep):
    assert render(load(grid_sweep)) == render(load(grid_sweep))


def test_every_run_state_and_key_is_there(page, grid_sweep):
    said = page.said
    runs = load(grid_sweep).runs
    assert all(run in said for run in runs["run"])
    assert all(word in said for word in ("18 done", "6 diverged", "arch.depth", "tau.exponent", "diverged 2/2"))


def test_nothing_is_fetched_and_nothing_acts_but_the_one_script(page):
    names = Counter(tag for tag, _ in page.elements)
    assert names["script"] == 2  # the data, and the script
    assert not names.keys() & {"link", "iframe", "object", "embed", "base", "form"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        assert not attributes.keys() & {"src", "srcset", "xlink:href", "action"}
        assert attributes.get("href", "#").startswith("#")
        assert all(
            url.startswith("url(#") for url in re.findall(r"url\([^)]*", " ".join(map(str, attributes.values())))
        )
    (policy,) = [of.get("content") for tag, of in page.elements if of.get("http-equiv") == "Content-Security-Policy"]
    allowed = dict(directive.split(" ", 1) for directive in policy.split("; "))
    assert allowed.keys() == {"default-src", "style-src", "script-src", "base-uri", "form-action"}
    assert allowed["default-src"] == allowed["base-uri"] == allowed["form-action"] == "'none'"
    for what, content in (("script-src", page.scripts[1]), ("style-src", page.styles[0])):
        assert allowed[what] == f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def test_names_of_elements_are_unique_and_labels_lead_somewhere(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    led = [of[name] for _, of in page.elements for name in ("aria-labelledby", "aria-describedby") if name in of]
    led += [of["href"][1:] for _, of in page.elements if "href" in of]
    assert set(led) <= set(ids)


def test_html_in_a_sweep_stays_text(tmp_path, page):
    found = Elements(render(load(write_hostile(tmp_path / "s").path)))
    assert {tag for tag, _ in found.elements} <= {tag for tag, _ in page.elements} | {"pre", "code", "p"}
    assert Counter(tag for tag, _ in found.elements)["script"] == 2
    assert not [of for _, of in found.elements if "src" in of]
    said = "".join(found.text)
    assert said.count(HTML) >= 4  # a value, the log, the traceback, the end
    assert json.loads(found.scripts[0])["facets"]


@pytest.mark.parametrize("state", ["planned", "running", "failed", "diverged"])
def test_a_sweep_without_a_result_has_a_report(tmp_path, state):
    sweep = write_runs(tmp_path / "s", [configuration(seed=seed) for seed in (0, 1)], lambda _: Outcome(state))
    for run in sweep:  # nor with a whole epoch
        run.metrics(1).write_bytes(b"")
        run.timings(1).write_bytes(b"")
    said = Elements(render(load(sweep.path))).said
    assert f"2 {state}" in said
    assert "No run has a second epoch yet" in said
    assert "These runs fill no figure yet." in said
    assert "could not be read" not in said


def test_one_run_is_a_sweep(grid_sweep):
    run = next((grid_sweep / "runs").iterdir())
    said = Elements(render(load(run))).said
    assert "1 cell of 1 seed" in said
    assert "All runs have one configuration." in said


def test_sweeps_of_other_kinds_have_a_report(tmp_path, grid_sweep):
    initial = write_initialisations(tmp_path / "initial", (0.0, 0.5))
    assert "Final growth" in Elements(render(load(initial.path))).said
    for depth, job in ((20, tmp_path / "m" / "0"), (56, tmp_path / "m" / "1")):
        (job / ".hydra").mkdir(parents=True)
        write_text(job / ".hydra" / "config.yaml", to_yaml({"net": {"depth": depth}, "seed": 0}))
        write_text(job / "metrics.csv", "epoch,accuracy\n1,0.5\n2,0.75\n")
    said = Elements(render(load(tmp_path / "m"))).said
    assert "Final accuracy" in said
    assert "The sweep has no record of the commands that made it." in said
    said = Elements(render(load(grid_sweep, initial.path))).said
    assert "Runs 48" in said
    assert "grid, initial" in said


def test_the_value_is_one_of_the_sweep(grid_sweep):
    assert "Best test error" in Elements(render(load(grid_sweep), "best_test_error")).said
    with pytest.raises(BadInput, match="nearest"):
        render(load(grid_sweep), "test_eror")


def test_facets_are_the_keys_that_tell_runs_apart_in_their_order(grid_sweep):
    runs = load(grid_sweep).runs
    found = facets(runs)
    assert [facet.name for facet in found] == ["depth", "norm", "τ", "seed", "state"]
    assert [facet.values for facet in found[:3]] == [("20", "56", "110"), ("batch", "none"), ("1", "L^-1/2")]
    for facet, column in zip(found, ("arch.depth", "arch.norm", "tau", "seed", "state"), strict=True):
        assert [facet.values[code] for code in facet.codes] == [text(value) for value in runs[column].tolist()]


def test_columns_hold_what_differs(grid_sweep):
    runs = load(grid_sweep).runs
    columns = {column.key: column for column in rows.columns(runs, facets(runs))}
    assert list(columns)[:5] == ["state", "arch.depth", "arch.norm", "tau", "seed"]
    assert "final_train_loss" not in columns  # 0.01 everywhere
    best = columns["best_test_error"]
    assert list(best.values) == runs["best_test_error"].tolist()
    shown = [best.text(run, facets(runs)) for run in range(len(runs))]
    assert shown == [f"{number:.2f}" for number in runs["best_test_error"]]
    assert [columns["tau"].text(run, facets(runs)) for run in range(len(runs))] == list(map(text, runs["tau"].tolist()))


def test_the_data_says_where_a_run_diverged(grid_sweep):
    page = Page(load(grid_sweep))
    expected = [None if np.isnan(epoch) else epoch for epoch in page.runs["diverged_epoch"].astype(float)]
    assert page.data["diverged"] == expected
    assert expected.count(2) == 6


def test_a_result_that_is_missing_is_an_empty_entry(tmp_path):
    sweep = write_runs(
        tmp_path / "s",
        [configuration(seed=seed) for seed in (0, 1)],
        lambda config: Outcome("failed") if config["seed"] else Outcome(error=2.0),
    )
    runs = load(sweep.path).runs.sort_values("seed")
    (column,) = [column for column in rows.columns(runs, facets(runs)) if column.key == "final_test_error"]
    assert column.values == (2.0, None)
    assert [column.text(run, facets(runs)) for run in (0, 1)] == ["2.00", ""]


def test_packed_curves_are_the_epochs_in_the_order_of_the_page(grid_sweep):
    epochs = load(grid_sweep).epochs
    names = sorted(epochs["run"].unique(), reverse=True)
    curves = packed.packed(epochs, names)
    assert [name for name, _ in curves["metrics"]][:3] == ["test_error", "train_error", "test_loss"]
    ordered = epochs.set_index("run").loc[names]
    assert curves["lengths"] == [int((epochs["run"] == name).sum()) for name in names]
    for name, column in curves["columns"].items():
        decoded = np.frombuffer(base64.b64decode(column), "<f4")
        np.testing.assert_array_equal(decoded, ordered[name].to_numpy(np.float32))


def test_a_metric_without_room_is_named(grid_sweep, monkeypatch):
    epochs = load(grid_sweep).epochs
    monkeypatch.setattr(packed, "NUMBERS", 3 * len(epochs))  # epoch and two more
    curves = packed.packed(epochs, list(epochs["run"].unique()))
    assert list(curves["columns"]) == ["epoch", "test_error", "train_error"]
    assert curves["left_out"] == ["test_loss", "train_loss", "lr"]


def test_results_are_depth_by_norm_and_tau(grid_sweep):
    found = results.results(cells(load(grid_sweep).runs))
    assert found.labels == ("depth",)
    assert found.headings[0] == (("norm batch", 2), ("norm none", 2))
    assert [label for label, _ in found.headings[1]] == ["τ = 1", "τ = L^-1/2"] * 2
    labels, entries = found.rows[-1]
    assert labels == ("110",)
    assert [entry.best for entry in entries] == [False, True, False, False]
    assert entries[2].remarks == (("diverged 2/2", True),)


def test_results_are_laid_out_by_any_keys(tmp_path):
    configs = [configuration(depth, seed=seed) for depth in (20, 56) for seed in (0, 1)]
    wide = [config | {"schedule": config["schedule"] | {"lr": 0.2}} for config in configs]
    sweep = write_runs(tmp_path / "s", configs + wide)
    found = results.results(cells(load(sweep.path).runs))
    assert found.labels == ("depth",)
    assert found.headings == ((("lr 0.1", 1), ("lr 0.2", 1)),)
    assert [labels for labels, _ in found.rows] == [("20",), ("56",)]


def test_a_tail_is_the_last_lines_without_what_steers_a_terminal(tmp_path):
    log = tmp_path / "log.txt"
    log.write_bytes(
        b"".join(b"line %d\n" % number for number in range(5000)) + b"\x1b[31mred\x1b[0m \x00\n10 %\r99 %\r\n\xff"
    )
    lines = tail(log).split("\n")
    assert lines[-4:] == ["line 4999", "red �", "99 %", "�"]
    assert len(lines) == LINES
    assert tail(tmp_path / "none.txt") == ""


def test_failures_end_with_their_reason(tmp_path):
    sweep = write_runs(tmp_path / "s", [configuration()], lambda _: Outcome("failed"))
    (run,) = sweep
    write_text(run.error(1), "Traceback\nRuntimeError: no\n")
    (failure,) = failures.failures(load(sweep.path))
    assert failure.state == failure.end == "failed"
    assert failure.files == (("error.1.txt", "Traceback\nRuntimeError: no"),)


def test_differences_count_the_runs_of_each_value(grid_sweep):
    varying, shared = varying_and_shared(load(grid_sweep).runs)
    counts = {one.key: dict(one.values) for one in varying}
    assert counts["arch.depth"] == {"20": 8, "56": 8, "110": 8}
    assert counts["arch.norm"] == {"batch": 12, "none": 12}
    assert dict(shared)["arch.channels"] == "[16, 32, 64]"
    assert not counts.keys() & dict(shared)


def test_a_command_can_be_typed_again():
    words = ["train.py", "-m", "seed=0,1", 'dataset.name=it\'s "odd"']
    first, second = origin.in_shell({"command": words, "directory": "/my runs"}).split("\n")
    assert shlex.split(first) == ["cd", "/my runs"]
    assert shlex.split(second) == ["taunode", *words[1:]]


def test_provenance_names_commands_machines_and_versions(tmp_path):
    sweep = write_sweep(tmp_path / "s", depths=(20,), taus=(ONE, INVERSE_SQRT))
    command = {"time": "2026-01-01T00:00:00+00:00", "command": ["taunode", "-m"], "directory": "/", "runs": 2}
    write_text(
        sweep.commands / "a.yaml", to_yaml(command | {"code": {"commit": "0" * 40, "versions": {"taunode": "9"}}})
    )
    write_text(sweep.commands / "b.yaml", "[")
    for run in sweep:
        record = run.read_record()
        record.attempts[0] |= {"host": {"host": "node1", "system": "Linux"}, "versions": {"torch": "2.4"}}
        write_json(run.record, record.to_json())
    found = origin.origin(load(sweep.path))
    assert [command.code for command in found.commands] == [(("taunode", "9"), ("commit", "0" * 40))]
    assert [file.rpartition("/")[2] for file, _ in found.unreadable] == ["b.yaml"]
    assert found.machines == {("node1", "Linux"): 8}
    assert found.versions == {"torch": {"2.4"}}


def test_1000_runs_of_200_epochs_are_15_mb_at_most(wide_report):
    path, wide = wide_report
    assert wide == 1000
    print(f"1,000 runs × 200 epochs: {path.stat().st_size / 1e6:.1f} MB")
    assert path.stat().st_size <= 15e6
    content = path.read_bytes()
    data = json.loads(Elements(content).scripts[0])
    assert len(data["runs"]) == len(set(data["runs"])) == len(data["lengths"]) == 1000
    assert max(data["lengths"]) == 200
    assert all(len(column["values"]) == 1000 for column in data["table"] if column["facet"] is None)
    assert all(len(facet["codes"]) == 1000 for facet in data["facets"])
    assert len(re.findall(rb'<tr><td class="choice"', content)) == rows.STATIC  # what is there without the script


def test_the_command_writes_one_file(grid_sweep, tmp_path, call):
    page = tmp_path / "deep" / "page.html"
    assert call("report", grid_sweep, "--output", page, "--where", "arch.depth == 56") == (0, f"{page}\n", "")
    assert "only the runs with arch.depth == 56" in Elements(page.read_bytes()).said
    code, out, err = call("report", grid_sweep, "--output", tmp_path / "page.pdf")
    assert (code, out) == (2, "")
    assert "a report is one .html file" in err
    assert list(tmp_path.iterdir()) == [page.parent]
