"""The plan: which runs a command line stands for, which of them are there, and what they are called."""

import json
import os
from pathlib import Path

import pytest
from cli import TINY, plan, records, tree

from taunode.command.line import Line
from taunode.command.plugins import register
from taunode.errors import BadInput
from taunode.plan.command_line import named_sweep, plan_multirun, plan_single
from taunode.plan.grid import grid
from taunode.plan.naming import LONGEST, override_key, run_name, scientific_overrides
from taunode.plan.write import write
from taunode.runs.files import read_yaml
from taunode.runs.record import FORMAT


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


SAME = [
    ("arch=resnet110_nobn", "arch=resnet110 arch.norm=none"),
    ("arch=resnet110", "arch=resnet arch.depth=110"),
    ("tau=inverse_sqrt", "tau=power tau.exponent=0.5"),
    ("tau=constant", "tau=one"),
    ("tau=power tau.exponent=1", "tau=power tau.exponent=1.0"),
    ("tau=one", "tau=power tau.exponent=0 tau.scale=1"),
    ("tau=one tau.learn=none", "tau=one tau.learn=auto"),
    ("tau=one tau.learn=shared arch.norm=none", "tau=one arch.norm=none"),
    ("schedule.lr=0.1", "schedule.lr=1e-1"),
    ("seed=0", "runtime.checkpoint_seconds=7"),
    ("schedule.epochs=3", "schedule={epochs: 3}"),
]
DIFFERENT = [
    ("arch=resnet110_nobn", "arch=resnet110"),
    ("tau=inverse_sqrt", "tau=inverse"),
    ("seed=0", "seed=1"),
    ("precision=fp32", "precision=bf16"),
    ("dataset.noise=0.5", "dataset.noise=0.6"),
    ("dataset.train_images=64", "dataset.train_images=32"),
    ("tau.learn=shared arch.norm=none", "tau.learn=block arch.norm=none"),
    ("schedule.milestones=[1]", "schedule.milestones=[2]"),
]


def signature(text: str) -> str:
    register()
    base = [word for word in TINY if not (text.startswith("arch=") and word.startswith("arch"))]
    composer = Line.of([*base, *text.split()] if "{" not in text else [*base, text]).composer()
    (planned,) = plan_single(composer).runs
    return planned.signature


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_ways_to_say_one_run_are_one_run(one, other):
    assert signature(one) == signature(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_changes_the_mathematics_is_another_run(one, other):
    assert signature(one) != signature(other)


def test_a_value_that_refers_to_a_swept_key_follows_it():
    runs = plan("seed=1,2", "tau.scale=${seed}").runs
    assert [run.config["tau"]["scale"] for run in runs] == [1, 2]


def test_two_ways_in_one_command_are_one_run():
    assert len(plan("tau=power,inverse_sqrt", "tau.exponent=0.5,0.50").runs) == 1
    two = plan("tau=inverse_sqrt,one,constant", "seed=0,1")
    assert len(two.runs) == 4
    assert [run.signature for run in two.by_job[2:4]] == [run.signature for run in two.by_job[4:6]]


def test_the_command_line_replaces_lists_of_an_experiment():
    runs = plan("experiment=digits_depth_tau", "arch.depth=20", "seed=0,1,2").runs
    assert len(runs) == 2 * 2 * 3
    assert {run.config["arch"]["depth"] for run in runs} == {20}
    assert {run.config["seed"] for run in runs} == {0, 1, 2}
    assert not [run for run in runs if "depth=56" in run.run.path.name]


def test_planning_writes_nothing_and_writing_makes_two_files_a_run(tmp_path):
    made = plan("seed=0,1,2")
    assert tree(tmp_path) == {}
    write(made)
    assert len(made.new) == 3
    for run in made.runs:
        assert sorted(path.name for path in run.run.path.iterdir()) == ["config.yaml", "run.json"]
        assert run.run.path.name.startswith(f"seed={run.config['seed']}-")
        assert run.run.path.name.endswith(run.signature[:8])
        assert "${" not in run.run.config.read_text()
    (command,) = (tmp_path / "sweep" / "commands").glob("*.yaml")
    assert read_yaml(command)["runs"] == 3

    before = tree(tmp_path)
    again = plan("seed=0,1,2")
    write(again)
    assert again.new == []
    assert tree(tmp_path) == before
    assert [run.run.path.name for run in plan("seed=range(0,5)").new] != []
    assert len(plan("seed=range(0,5)").new) == 2


def test_what_killed_planners_left_is_removed_when_they_have_gone(tmp_path):
    write(plan("seed=0"))
    left = [tmp_path / "sweep" / "runs" / f".seed={seed}-01234567.0123abcd" for seed in (1, 2)]
    left.append(tmp_path / "sweep" / "commands" / ".x.yaml.0123abcd")
    for path in left[:2]:
        path.mkdir()
        (path / "config.yaml").touch()
    left[2].touch()
    for path in (left[0], left[2]):
        os.utime(path, (0, 0))
    write(plan("seed=0,1"))
    assert [path.exists() for path in left] == [False, True, False]


def test_what_a_record_says_before_the_run_starts(tmp_path):
    write(plan("tau=inverse_sqrt", "arch.norm=none"))
    (record,) = records(tmp_path / "sweep").values()
    assert record["facts"]["tau"].startswith("L^-1/2")
    assert record["facts"]["blocks"] == 3
    assert record["facts"]["epochs_planned"] == 1
    assert record["facts"]["parameters"] > 0
    assert record["state"] == "planned"
    assert record["runtime"]["threads"] == 1
    assert "runtime.threads=1" not in record["overrides"]


@pytest.fixture
def options(tmp_path: Path) -> Path:
    """A user's own schedule, which the sweep has been planned with, and which has changed since."""
    file = tmp_path / "mine" / "schedule" / "short.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("defaults: [cifar, _self_]\nlr: 0.9\n")
    write(plan("schedule=short", "seed=0,1", config_dir=tmp_path / "mine"))
    file.write_text("defaults: [cifar, _self_]\nlr: 0.5\nfactor: 0.2\n")
    return tmp_path / "mine"


def test_a_changed_default_stops_with_the_keys(options):
    with pytest.raises(BadInput) as refused:
        plan("schedule=short", "seed=0,1", config_dir=options)
    line = str(refused.value)
    for words in ("schedule.factor (0.1 then, 0.2 now)", "schedule.lr (0.9 then, 0.5 now)", "--adopt", "--new"):
        assert words in line


def test_adopt_keeps_the_old_runs_and_new_plans_others(options):
    adopted = plan("schedule=short", "seed=0,1,2", "hydra.sweeper.adopt=true", config_dir=options)
    assert [run.exists for run in adopted.runs] == [True, True, False]
    new = plan("schedule=short", "seed=0,1", "hydra.sweeper.new=true", config_dir=options)
    assert [run.exists for run in new.runs] == [False, False]
    assert not {run.run.path for run in new.runs} & {run.run.path for run in adopted.runs}
    write(new)
    # From now on the same command means the newest.
    assert [run.exists for run in plan("schedule=short", "seed=0,1", config_dir=options).runs] == [True, True]


def test_where_sees_the_frozen_keys():
    assert len(plan("seed=range(0,10)", "hydra.sweeper.where='seed >= 7'").runs) == 3
    both = plan("tau=one,inverse", "arch.norm=batch,none", "hydra.sweeper.where='tau.learn == \"shared\"'")
    assert {run.config["arch"]["norm"] for run in both.runs} == {"none"}  # `auto` has been resolved
    with pytest.raises(BadInput, match="dropped all 4"):
        plan("seed=range(0,4)", "hydra.sweeper.where='seed > 7'")


def test_the_last_of_several_overrides_for_a_key_counts():
    assert scientific_overrides(["seed=0", "tau=one", "seed=1", "runtime.threads=2"]) == ["seed=1", "tau=one"]
    assert scientific_overrides(["hydra/launcher=basic", "runtime=default", "hydra.job.name=x"]) == []
    assert override_key("++arch.depth=3") == override_key("~arch.depth") == "arch.depth"


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "run-01234567"),
        (["tau=one", "arch.depth=20"], "tau=one,depth=20-01234567"),
        (["a.depth=1", "b.depth=2"], "a.depth=1,b.depth=2-01234567"),
        (["schedule.milestones=[1,2]"], "milestones=_1,2-01234567"),
        (["dataset.train=../../else where/ä"], "train=.._.._else_where-01234567"),
    ],
)
def test_names_are_readable_and_safe(overrides, name):
    assert run_name(overrides, [override_key(text) for text in overrides], "0123456789abcdef") == name


def test_names_are_short():
    name = run_name([f"dataset.train={'x' * 500}"], ["dataset.train"], "0123456789abcdef")
    assert len(name) == LONGEST + 9


def test_the_grid_is_hydras_product_in_order():
    register()
    composer = Line.of([], multirun=True).composer()
    made = grid(composer, {"tau": "one,inverse", "seed": "0,1"}, ["arch=glob(resnet11*)", "precision=fp32"])
    jobs = list(made.jobs())
    assert made.swept == ["tau", "seed", "arch"]
    assert jobs[0] == ["tau=one", "seed=0", "arch=resnet110", "precision=fp32"]
    assert jobs[1] == ["tau=one", "seed=0", "arch=resnet110_nobn", "precision=fp32"]
    assert len(jobs) == 8


def test_a_run_directory_with_other_keys_says_which(tmp_path):
    register()
    one = Line.of([*TINY, "hydra.run.dir=here"]).composer()
    write(plan_single(one))
    (planned,) = plan_single(one).runs
    assert planned.exists
    other = Line.of([*TINY, "hydra.run.dir=here", "tau=inverse", "seed=3"]).composer()
    with pytest.raises(BadInput, match=r"seed \(0 there, 3 here\), tau.exponent \(0(\.0)? there, 1(\.0)? here\)"):
        plan_single(other)
    record = tmp_path / "here" / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "format": FORMAT + 1}))
    with pytest.raises(BadInput, match="newer taunode"):
        plan_single(one)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("seed=0,1 tau.scale=1,0.5", "seed,tau.scale"),
        ("seed=0,1 hydra.sweep.dir='here/{name}'", "here/seed"),
        ("experiment=digits_depth_tau seed=0,1,2", "digits_depth_tau"),
    ],
)
def test_without_a_name_a_sweep_is_named_after_what_is_swept(typed, name, tmp_path):
    register()
    composer = Line.of(typed.split(), multirun=True).composer()
    root = tmp_path / ("." if "/" in name else "sweeps") / name
    assert plan_multirun(composer, composer.typed).root == root
    assert named_sweep(composer) == str(root)  # for the grids of Hydra's own sweepers
