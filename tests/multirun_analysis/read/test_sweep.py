"""The tables of runs: every key with its dtype, and no run lost, however damaged."""

import json
import os
import pickle
import shutil

import pandas as pd
import pytest
from synthetic import INVERSE_SQRT, Outcome, configuration, write_runs, write_sweep

import multirun_analysis
from multirun_analysis import load
from taunode.cluster.submission import InSlurm
from taunode.errors import BadInput
from taunode.runs.directory import SweepDirectory
from taunode.runs.files import write_json
from taunode.runs.signature import flatten, signature


def test_a_row_a_run_with_every_key_of_its_configuration(tmp_path):
    configs = [configuration(depth=20, seed=0), configuration(depth=110, tau=INVERSE_SQRT, seed=3)]
    write_runs(tmp_path / "s", configs)
    runs = load(tmp_path / "s").runs.set_index("seed", drop=False)
    assert len(runs) == 2
    for config in configs:
        row = runs.loc[config["seed"]]
        for key, value in flatten(config):
            if value is None:
                assert pd.isna(row[key])
            else:
                assert row[key] == (tuple(value) if isinstance(value, list) else value), key
        assert row["signature"] == signature(config)
        assert row["state"] == "done"
        assert row["attempts"] == 1
    assert runs["tau"].to_dict() == {0: "1", 3: "L^-1/2"}
    assert runs["blocks"].to_dict() == {0: 9, 3: 54}
    assert runs.loc[3, "tau_value"] == pytest.approx(54**-0.5)
    assert list(runs.columns[:2]) == ["run", "path"]
    assert set(runs.attrs["keys"]) == {key for key, _ in flatten(configs[0])}


def test_dtypes_follow_the_values_that_are_there(tmp_path):
    first, second, third = (configuration(seed=seed) for seed in range(3))
    del first["schedule"]["warmup_epochs"]
    first["dataset"]["augment"]["flip"] = None
    second["tau"]["scale"] = 0.5
    third["seed"] = 2**70
    runs = load(write_runs(tmp_path / "s", [first, second, third]).path).runs
    assert runs["arch.depth"].dtype == "int64"
    assert runs["schedule.warmup_epochs"].dtype == "Int64"
    assert runs["schedule.warmup_epochs"].isna().sum() == 1
    assert runs["dataset.augment.flip"].dtype == "boolean"
    assert runs["tau.scale"].dtype == "float64"
    assert runs["seed"].tolist().count(2**70) == 1
    assert set(runs["schedule.milestones"]) == {(2, 3)}


def test_what_waits_in_slurms_queue_is_queued_as_status_says(tmp_path, monkeypatch):
    write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(2)], lambda _: Outcome("planned"))
    first = SweepDirectory(tmp_path / "s").named()[0]
    told = InSlurm(queued={first: frozenset()}, submissions=(object(),))  # type: ignore[arg-type]  # one, whatever it is
    monkeypatch.setattr(InSlurm, "of", lambda of_sweep: told)
    for _ in range(2):  # the second time from the cache
        states = load(tmp_path / "s").runs.set_index("run")["state"].to_dict()
        assert states.pop(first) == "queued"
        assert set(states.values()) == {"planned"}


def test_states_are_derived_from_the_directory(tmp_path):
    states = ["done", "diverged", "planned", "failed", "running"]
    configs = [configuration(seed=seed) for seed in range(len(states))]
    write_runs(tmp_path / "s", configs, lambda config: Outcome(states[config["seed"]], 5.0))
    runs = load(tmp_path / "s").runs
    assert dict(zip(runs["seed"], runs["state"], strict=True)) == dict(enumerate(states))
    assert runs.set_index("state")["final_test_error"]["done"] == 5.0
    assert runs["final_test_error"].notna().tolist() == [state in ("done", "diverged") for state in runs["state"]]


def test_a_finished_run_whose_worker_died_before_it_wrote_run_json_has_its_results(tmp_path):
    run = next(iter(write_runs(tmp_path / "s", [configuration()], lambda _: Outcome(error=5.0))))
    record = run.read_record()
    record.state, record.summary, record.attempts = "running", {}, []
    write_json(run.record, record.to_json())
    (row,) = load(tmp_path / "s").runs.to_dict("records")
    assert (row["state"], row["final_test_error"]) == ("done", 5.0)


def test_a_run_that_is_done_again_has_no_results_meanwhile(tmp_path):
    run = next(iter(write_runs(tmp_path / "s", [configuration()], lambda _: Outcome(error=5.0))))
    run.done.unlink()
    write_json(run.claim(2), json.loads(run.claim(1).read_text()) | {"attempt": 2, "state": "cancelled"})
    record = run.read_record()
    record.attempts.append(json.loads(run.claim(2).read_text()))
    record.state = "cancelled"
    write_json(run.record, record.to_json())
    (row,) = load(tmp_path / "s").runs.to_dict("records")
    assert (row["state"], row["attempts"]) == ("cancelled", 2)
    assert "final_test_error" not in row


def test_where_sees_columns_lists_and_keys_that_only_other_runs_have(tmp_path):
    longer = configuration(depth=110, epochs=20, seed=1)
    longer["arch"]["wings"] = 2
    write_runs(tmp_path / "s", [configuration(), longer])

    def selected(where):
        return load(tmp_path / "s", where=where).runs["arch.depth"].tolist()

    assert sorted(selected('state == "done" and final_test_error < 1000')) == [20, 110]
    assert selected("arch.wings == null") == [20]
    assert selected("arch.wings > 1") == [110]
    assert selected("schedule.milestones == [10, 15]") == [110]
    assert selected('tau in ("1", "2") and arch.depth < 100') == [20]
    assert selected("false") == []
    with pytest.raises(BadInput, match=r"unknown key 'arch.dept'; nearest: arch.depth"):
        load(tmp_path / "s", where="arch.dept > 1")


def test_a_run_whose_values_cannot_be_compared_is_listed_and_the_others_are_chosen(tmp_path):
    configs = [configuration(seed=seed) for seed in (0, "one", 2)]
    write_runs(tmp_path / "s", configs, lambda config: Outcome(error=1.0))
    sweep = load(tmp_path / "s", where="seed >= 1")
    assert sweep.runs["seed"].tolist() == [2]
    assert "cannot compare 'one'" in sweep.broken["reason"].item()
    with pytest.raises(BadInput, match="cannot compare"):
        load(tmp_path / "s", where="tau >= 1")


def test_what_steers_a_terminal_is_text_in_names_keys_and_values(tmp_path):
    config = configuration() | {"x\x1b": ["\x1b[2J", {"\u202e": "τ"}]}
    names = ["a\x1b", r"a\x1b", "b\u202e"]
    for run, name in zip(
        write_runs(tmp_path / "s", [config | {"seed": seed} for seed in range(3)]), names, strict=True
    ):
        run.path.rename(run.path.with_name(name))
    runs = load(tmp_path / "s").runs
    assert sorted(runs["run"]) == sorted([ascii(names[0]), ascii(names[1]), r"b\u202e"])
    assert runs[r"x\x1b"].tolist() == [(r"\x1b[2J", ((r"\u202e", "τ"),))] * 3
    assert len(load(tmp_path / "s").epochs) == 15


def test_a_run_directory_is_a_sweep_of_one(tmp_path, monkeypatch):
    run = next(iter(write_runs(tmp_path / "s", [configuration()])))
    assert load(run.path).runs["run"].tolist() == [run.path.name]
    monkeypatch.chdir(run.path)
    assert load(".").runs["run"].tolist() == [run.path.name]
    assert len(load(".").epochs) == 5


def test_an_empty_sweep_has_no_rows(tmp_path):
    write_runs(tmp_path / "s", [])
    sweep = load(tmp_path / "s")
    assert sweep.runs.empty
    assert sweep.epochs.empty
    assert sweep.broken.empty
    assert {"run", "tau", "state", "signature"} <= set(sweep.runs.columns)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("x")])
def test_what_is_no_sweep_directory_is_refused(tmp_path, make):
    make(tmp_path / "s")
    with pytest.raises(BadInput, match=r"is not a sweep directory|is no archive of a sweep"):
        load(tmp_path / "s")


def test_what_a_newer_taunode_wrote_is_listed_and_the_others_are_read(tmp_path):
    newer, _ = write_runs(tmp_path / "s", [configuration(), configuration(seed=1)])
    newer.record.write_text(json.dumps(json.loads(newer.record.read_text()) | {"format": 99}))
    sweep = load(tmp_path / "s")
    assert len(sweep.runs) == 1
    assert "newer taunode (format 99" in sweep.broken.reason.item()


DAMAGES = {
    "record missing": lambda run: run.record.unlink(),
    "record truncated": lambda run: run.record.write_bytes(run.record.read_bytes()[:200]),
    "record empty": lambda run: run.record.write_bytes(b""),
    "record no mapping": lambda run: run.record.write_text("[]"),
    "record without format": lambda run: run.record.write_text('{"format": "new"}'),
    "record with facts null": lambda run: run.record.write_text(
        json.dumps(json.loads(run.record.read_text()) | {"facts": None})
    ),
    "record nested without end": lambda run: run.record.write_text("[" * 100_000),
    "record not UTF-8": lambda run: run.record.write_bytes(b'{"format": "\xff"}'),
    "config missing": lambda run: run.config.unlink(),
    "config garbage": lambda run: run.config.write_bytes(b"a: [1\n\x00b: }"),
    "config no mapping": lambda run: run.config.write_text("- 1\n"),
    "config a Python object": lambda run: run.config.write_text("a: !!python/object/apply:os.mkdir [never]\n"),
    "config a directory": lambda run: (run.config.unlink(), run.config.mkdir()),
    "claim garbage": lambda run: (run.claim(2).write_text("{"), run.done.unlink()),
    "done garbage": lambda run: (
        run.done.write_text("{"),
        run.record.write_text(json.dumps(json.loads(run.record.read_text()) | {"state": "running"})),
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_run_that_cannot_be_read_is_listed_with_the_reason(tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    runs = list(write_runs(tmp_path / "s", [configuration(seed=seed) for seed in range(3)]))
    damage(runs[1])
    sweep = load(tmp_path / "s")
    assert sweep.runs["run"].tolist() == [runs[0].path.name, runs[2].path.name]
    assert sweep.broken["run"].tolist() == [runs[1].path.name]
    assert sweep.broken["reason"].str.len().gt(5).all()
    assert not sweep.broken["reason"].str.contains("\n").any()
    assert not (tmp_path / "never").exists()


def test_depth_and_tau_have_ordered_labels(tmp_path):
    sweep = write_sweep(tmp_path / "s", (110, 20, 56), taus=((0.5, 0.5), INVERSE_SQRT, (0.136, 0.0), (1.0, 0.0)))
    runs = load(sweep.path).runs
    assert list(runs["depth"].cat.categories) == ["20", "56", "110"]
    # at 27 blocks: 1, 0.192, 0.136, 0.096
    assert list(runs["tau"].cat.categories) == ["1", "L^-1/2", "0.136", "0.5·L^-1/2"]
    assert runs["depth"].cat.ordered
    assert runs["tau"].cat.ordered
    assert (runs["depth"].astype("str") == runs["arch.depth"].astype("str")).all()


def test_several_sweeps_are_read_at_once(tmp_path):
    for name, depth in (("a", 20), ("b", 56)):
        write_sweep(tmp_path / name, (depth,), norms=("batch",))
    alone = load(tmp_path / "a")
    both = load(tmp_path / "a", tmp_path / "b", where="seed == 1")
    assert both.paths == (tmp_path / "a", tmp_path / "b")
    assert both.runs["sweep"].tolist() == [str(tmp_path / "a")] * 2 + [str(tmp_path / "b")] * 2
    assert both.runs["run"].is_unique
    assert set(both.runs["run"][:2].str.removeprefix(f"{tmp_path}/a/")) <= set(alone.runs["run"])
    assert len(both.epochs) == 20
    assert both.epochs["run"].cat.categories.tolist() == both.runs["run"].tolist()
    assert both.copies.empty


def test_a_cell_is_one_whichever_sweep_its_runs_are_in(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        write_runs(tmp_path / name, [configuration(seed=seed)], lambda _: Outcome(error=5.0))
    assert multirun_analysis.cells(load(tmp_path / "a", tmp_path / "b").runs)["n"].tolist() == [2]


def test_a_run_that_is_read_twice_is_one(tmp_path):
    sweep = write_sweep(tmp_path / "a", (20,), norms=("batch",), seeds=range(3))
    shutil.copytree(sweep.path, tmp_path / "b", symlinks=True)
    unfinished = next(iter(sweep))  # of a copy that is behind, the one with the result counts
    unfinished.done.unlink()
    write_json(unfinished.record, json.loads(unfinished.record.read_text()) | {"state": "planned", "attempts": []})
    unfinished.claim(1).unlink()
    alone, both = load(tmp_path / "b"), load(tmp_path / "a", tmp_path / "b")
    assert both.runs["signature"].is_unique
    assert sorted(both.runs["signature"]) == sorted(alone.runs["signature"])
    assert (both.runs["state"] == "done").all()
    assert len(both.copies) == 6
    assert set(both.copies["same_as"]) == set(both.runs["run"])
    assert both.summary.endswith("6 done; 6 more are copies of these")
    counted, expected = (multirun_analysis.cells(runs).drop(columns="cell") for runs in (both.runs, alone.runs))
    pd.testing.assert_frame_equal(counted, expected)
    assert len(both.epochs) == len(alone.epochs)
    assert len(load(tmp_path / "a", tmp_path / "b", once=False).runs) == 12


def test_comments_in_a_configuration_are_yaml_and_aliases_are_refused(tmp_path):
    """A few lines of aliases can stand for 10^9 values; nothing that taunode or Hydra writes has any."""
    commented, aliased = write_runs(tmp_path / "s", [configuration(), configuration(seed=1)])
    commented.config.write_text("# a comment\n" + commented.config.read_text())
    aliased.config.write_text(aliased.config.read_text().replace("seed: 1", "seed: &seed 1\nagain: *seed"))
    sweep = load(tmp_path / "s")
    assert sweep.runs["arch.depth"].tolist() == [20]
    assert "aliases" in sweep.broken.reason.item()


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_a_run_being_written_is_not_there_yet_and_no_checkpoint_is_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = next(iter(write_runs(tmp_path / "s", [configuration()])))
    shutil.copytree(run.path, tmp_path / "s" / "runs" / ".arch.depth=20.0123abcd", symlinks=True)
    (run.path / "checkpoint.1.pt").write_bytes(pickle.dumps(Bomb()))
    (run.path / ".metrics.1.csv.0123abcd").write_text("epoch,te")
    sweep = load(tmp_path / "s")
    assert (len(sweep.runs), len(sweep.epochs), len(sweep.broken)) == (1, 5, 0)
    assert not (tmp_path / "exploded").exists()


def test_the_package_is_lazy_and_names_what_it_has(grid_sweep):
    assert multirun_analysis.cells(load(grid_sweep).runs)["n"].sum() == 18
    assert isinstance(load(grid_sweep), multirun_analysis.Sweep)
    with pytest.raises(AttributeError, match="Sweep, cells, compare, figure, load, table, tuned, verify"):
        _ = multirun_analysis.nothing


def test_a_written_sweep_is_what_the_contract_says(tmp_path):
    sweep = write_sweep(tmp_path / "s", depths=(20,), norms=("batch",))
    assert len(list(SweepDirectory(sweep.path))) == 4
    for run in sweep:
        assert (run.path / "metrics.csv").resolve() == run.metrics(1).resolve()
        assert signature(run.read_config()) == run.read_record().signature
