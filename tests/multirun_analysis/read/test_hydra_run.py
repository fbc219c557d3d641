"""Plain Hydra multiruns: configurations and metrics that anybody's application wrote, CSV or JSONL."""

import json
import os
import pickle

import pytest

from multirun_analysis import cells, load
from multirun_analysis.read.hydra_run import read_metrics
from taunode.errors import BadInput


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def write(path, config, name="metrics.csv", content="epoch,test_error\n1,40.0\n2,30.0\n"):
    (path / ".hydra").mkdir(parents=True)
    (path / ".hydra" / "config.yaml").write_text(config)
    (path / ".hydra" / "overrides.yaml").write_text("[]\n")
    if content is not None:
        (path / name).write_text(content)


@pytest.fixture
def multirun(tmp_path):
    """multirun/<date>/<time>/<number>, as Hydra makes them."""
    root = tmp_path / "multirun"
    for number in range(4):
        error = 10.0 * (number // 2) + number % 2
        rows = [{"epoch": epoch, "test_error": error + 2 - epoch, "note": "x"} for epoch in (1, 2)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        config = f"model:\n  depth: {20 if number < 2 else 56}\nseed: {number % 2}\nlr: ${{base}}\n"
        write(root / "2026-01-01" / "12-00-00" / str(number), config, "log.jsonl", lines)
    return root


def test_a_row_a_run_with_its_configuration_and_last_epoch(multirun):
    sweep = load(multirun)
    assert sweep.broken.empty
    assert sweep.runs["run"].tolist() == [f"2026-01-01/12-00-00/{number}" for number in range(4)]
    assert sweep.runs["model.depth"].tolist() == [20, 20, 56, 56]
    assert sweep.runs["lr"].tolist() == ["${base}"] * 4
    assert sweep.runs["final_test_error"].tolist() == [0.0, 1.0, 10.0, 11.0]
    assert sweep.runs["state"].tolist() == ["done"] * 4
    assert sweep.epochs["test_error"].tolist() == [1.0, 0.0, 2.0, 1.0, 11.0, 10.0, 12.0, 11.0]


def test_cells_are_made_of_them(multirun):
    found = cells(load(multirun).runs)
    assert found["n"].tolist() == [2, 2]
    assert sorted(found["mean"]) == [0.5, 10.5]


def test_a_depth_in_words_is_a_key_like_any_other(tmp_path):
    write(tmp_path / "s" / "0", "arch:\n  depth: deep\nseed: 0\n")
    runs = load(tmp_path / "s").runs
    assert runs["arch.depth"].tolist() == ["deep"]
    assert cells(runs)["mean"].tolist() == [30.0]


def test_one_run_of_it_and_several_multiruns_are_read_too(multirun, tmp_path):
    one = load(multirun / "2026-01-01" / "12-00-00" / "3")
    assert one.runs["run"].tolist() == ["3"]
    write(tmp_path / "other" / "0", "seed: 0\n")
    both = load(multirun, tmp_path / "other")
    assert len(both.runs) == 5
    assert both.runs["run"].is_unique
    assert both.epochs["run"].astype("str").unique().tolist() == both.runs["run"].tolist()


@pytest.mark.parametrize(
    ("name", "content", "errors"),
    [
        ("metrics.csv", "epoch,test_error\n1,4\n2,3\n", [4, 3]),
        ("any.csv", "test_error\n4\n3\n", [4, 3]),
        ("metrics.csv", "epoch,step,loss,test_error\n0,9,1.0,\n0,9,,4\n1,19,0.5,\n1,19,,3\n", [4, 3]),
        ("metrics.jsonl", '{"step": 5, "test_error": 4}\n\n{"step": 10, "test_error": 3, "done": true}\n', [4, 3]),
        ("metrics.csv", "", []),
        ("metrics.csv", "epoch,test_error\n", []),
    ],
)
def test_metrics_of_many_writers(tmp_path, name, content, errors):
    write(tmp_path / "s" / "0", "seed: 0\n", name, content)
    sweep = load(tmp_path / "s")
    assert sweep.broken.empty
    found = sweep.epochs["test_error"].tolist() if errors else sweep.epochs.to_dict("records")
    assert found == errors
    assert sweep.runs["state"].tolist() == ["done" if errors else "planned"]


def test_metrics_win_over_other_tables(tmp_path):
    write(tmp_path / "s" / "0", "seed: 0\n")
    (tmp_path / "s" / "0" / "a.csv").write_text("epoch,test_error\n1,99\n")
    assert load(tmp_path / "s").runs["final_test_error"].tolist() == [30.0]
    assert read_metrics(tmp_path / "s" / "0" / "a.csv")["test_error"].tolist() == [99.0]


def test_what_is_broken_is_listed_and_nothing_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "s" / "good", "seed: 0\n")
    write(tmp_path / "s" / "yaml", "a: [\n")
    write(tmp_path / "s" / "python", "a: !!python/object/apply:os.mkdir [exploded]\n")
    write(tmp_path / "s" / "json", "seed: 1\n", "metrics.jsonl", '{"epoch": 1\n')
    for name in ("checkpoint.pt", "job_return.pickle"):
        (tmp_path / "s" / "good" / name).write_bytes(pickle.dumps(Bomb()))
    sweep = load(tmp_path / "s")
    assert sweep.runs["run"].tolist() == ["good"]
    assert sweep.broken["run"].tolist() == ["json", "python", "yaml"]
    assert len(sweep.epochs) == 2
    assert not (tmp_path / "exploded").exists()


def test_a_directory_without_runs_is_refused(tmp_path):
    (tmp_path / "s" / "a" / "b").mkdir(parents=True)
    with pytest.raises(BadInput, match="is not a sweep directory: it has neither"):
        load(tmp_path / "s")
