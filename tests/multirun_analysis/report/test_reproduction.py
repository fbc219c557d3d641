"""The record of reproduction: every published number is in it, whatever was run; what a sweep says stays text."""

import json
import shutil
from pathlib import Path

import pytest
from spoilt import MARKUP, STEERING
from synthetic import Outcome, configuration, protocol_of, write_runs

import multirun_analysis as ma
from multirun_analysis.papers.published import published
from multirun_analysis.report.reproduction import Record

ROOT = Path(__file__).parents[3]


@pytest.fixture
def sweep(tmp_path):
    """Five seeds of the first networks of figure 1a, from one command."""
    number = next(number for number in published() if number.figure == "flow-1a")
    errors = (2.0, 2.1, 2.2, 2.3, 2.4)
    configs = [protocol_of(number, seed) for seed in range(5)]
    made = write_runs(tmp_path / "s", configs, lambda config: Outcome(error=errors[config["seed"]]))
    told = {
        "format": 2,
        "command": ["/x/taunode", "-m", "seed=0,1"],
        "code": {"commit": "0123456789abcdef" * 2 + "01234567"},
    }
    (made.commands / "a.yaml").write_text(json.dumps(told))
    for run in made:
        record = json.loads(run.record.read_bytes())
        record["command"] = "../../commands/a.yaml"
        record["summary"]["seconds"] = 720.0
        run.record.write_text(json.dumps(record))
    return made


def rows(text):
    """The rows of numbers; how many seeds diverged has rows of its own."""
    found = [line for line in text.splitlines() if line.startswith("| ") and " | diverged | " not in line]
    return [line for line in found if not line.startswith(("| ---", "| networks"))]


def test_every_number_is_there_once_and_what_was_not_run_says_so(sweep):
    text = Record(ma.load(sweep.path)).to_markdown("x")
    found = rows(text)
    assert len(found) == len(published())
    of_ours = [row for row in found if "[1](#commands)" in row]
    assert len(of_ours) == 2
    assert "| 2.20 ± 0.16 (n=5) | 2.14 ± 0.16 (n=20) | +0.06" in of_ours[0]
    assert "| 1.00 |" in of_ours[0]  # 5 times 720 s
    assert "1.00 in all" in text
    assert sum("| not run |" in row for row in found) == sum(n.role == "published" for n in published()) - 2
    assert "1. `s`, commit `0123456789ab`\n\n       /x/taunode -m seed=0,1\n" in text
    assert Record(ma.load(sweep.path)).to_markdown("x") == text


def test_runs_that_compare_with_nothing_are_listed_too(sweep, tmp_path):
    write_runs(tmp_path / "other", [configuration(seed=seed) for seed in (0, 1)], lambda _: Outcome(error=5.0))
    text = Record(ma.load(sweep.path, tmp_path / "other")).to_markdown("x")
    others = text.split("## Other runs")[1].split("## Commands")[0]
    assert "`other`, command" in others
    assert "`s`" not in others
    assert "5.00 ± 0.00 (n=2)" in others
    assert len(rows(text.split("## Other runs")[0])) == len(published())
    assert "Other runs" not in Record(ma.load(sweep.path)).to_markdown("x")


def test_what_a_sweep_says_is_text(sweep):
    told = {"format": 2, "command": ["taunode", STEERING, "`" + MARKUP + "`"], "code": {"commit": "`|" + MARKUP}}
    (sweep.commands / "a.yaml").write_text(json.dumps(told))
    text = Record(ma.load(sweep.path)).to_markdown("x")
    assert all(c.isprintable() or c == "\n" for c in text)
    lines = [line for line in text.splitlines() if "<script>" in line]
    assert all(line.startswith("       ") for line in lines)  # a block of code
    assert len(rows(text)) == len(published())


def test_the_command_writes_it(sweep, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    code, out, err = call("reproduction", "s")
    assert (code, err) == (0, "")
    assert call("reproduction", "s", "--output", "deep/r.md") == (0, "deep/r.md\n", "")
    written = (tmp_path / "deep" / "r.md").read_text()
    assert rows(written) == rows(out)
    assert "Written by `multirun-analysis reproduction s --output deep/r.md`" in written
    assert call("reproduction", "s", "--output", "r.html")[0] == 2
    shutil.copytree(sweep.path, tmp_path / "t", symlinks=True)
    assert call("reproduction", "s", "t")[0] == 0  # copies count once


def test_where_nothing_was_run_everything_says_so():
    text = Record(ma.load()).to_markdown("x")
    assert len(rows(text)) == len(published())
    assert sum("| not run |" in row for row in rows(text)) == sum(number.role == "published" for number in published())
    assert "0.00 in all" in text
    assert "None yet." in text


ARCHIVES = sorted((ROOT / "docs" / "archives").glob("*.zip"))


def test_the_record_is_what_the_archives_say(monkeypatch, tmp_path):
    monkeypatch.setenv("TAUNODE_CACHE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    names = [str(path.relative_to(ROOT)) for path in ARCHIVES]
    made_by = " ".join(["multirun-analysis reproduction", *names, "--output docs/reproduction.md"])
    assert Path("docs/reproduction.md").read_text(encoding="utf-8") == Record(ma.load(*names)).to_markdown(made_by)
