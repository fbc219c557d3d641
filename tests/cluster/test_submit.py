"""What is sent to Slurm, without a Slurm: resources by configuration, arrays, the batch script word for word."""

import sys
from pathlib import Path

import pytest
from cli import TINY, refusal

from taunode.cluster.resources import Request, Resources, mebibytes, seconds
from taunode.cluster.submission import Array, Submission
from taunode.cluster.submit import Arrays, Wanted, job_name, kinds, split, throttled, words_of_sbatch
from taunode.command.sweep import main
from taunode.errors import BadInput
from taunode.runs.directory import RunDirectory, SweepDirectory

GOLDEN = Path(__file__).parent / "array.sbatch"
ALL = {
    "time": "1-12:00:00",
    "partition": "gpu",
    "account": "physics",
    "qos": "long",
    "constraint": "a100|h100",
    "gres": "gpu:a100:1",
    "cpus": 8,
    "memory": "32G",
    "nodes": 2,
    "tasks": 1,
    "sbatch": {"exclusive": True, "mail-type": "END", "comment": "it's depth"},
    "setup": ["module load python", "source ~/env/bin/activate"],
    "array_parallelism": 16,
    "signal_seconds": 120,
}


def test_the_batch_script_word_for_word(monkeypatch):
    """Every option that has a key of its own, others, and a path with a space and a quote."""
    monkeypatch.setattr(sys, "executable", "/env/bin/python")
    request = Request.from_config(ALL)
    folder = Path("/data/it's mine/sweep/slurm")
    arrays = Arrays(folder, "sweep-1234", request, request.base)
    text = arrays.text(Array(1001, 51, parallel=16), folder / "sweep-1234.json", "sweep_1-51of60")
    assert text == GOLDEN.read_text()


def test_options_at_their_defaults_leave_the_choice_to_the_cluster():
    request = Request.from_config({})
    arrays = Arrays(Path("/sweep/slurm"), "sweep-1", request, request.base)
    text = arrays.text(Array(0, 1), Path("/sweep/slurm/x.json"), "a")
    flags = {line.split("=")[0] for line in text.splitlines() if line.startswith("#SBATCH")}
    names = "array comment error job-name nodes ntasks-per-node open-mode output requeue signal time"
    assert flags == {f"#SBATCH --{name}" for name in names.split()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4G", 4096), ("500M", 500), ("2000", 2000), ("1.5g", 1536), ("1T", 2**20), ("512K", 1), ("8GB", 8192)],
)
def test_sizes(text, expected):
    assert mebibytes(text, "memory") == expected


@pytest.mark.parametrize(
    ("time", "expected"),
    [(60, 3600), ("60", 3600), ("5:30", 330), ("1:00:00", 3600), ("1-12", 129600), ("1-12:30:10", 131410)],
)
def test_times(time, expected):
    assert seconds(time) == expected


def test_of_each_key_the_last_entry_counts_that_a_run_meets():
    entries = [
        {"when": "arch.depth >= 56", "time": 120, "memory": "8G"},
        {"when": "arch.depth >= 110", "time": 600, "sbatch": {"exclusive": True}},
    ]
    request = Request.from_config({"partition": "gpu", "sbatch": {"comment": "x"}, "resources": entries})
    assert request.of({"arch.depth": 20}) == request.base
    assert request.of({"arch.depth": 56}) == Resources(120, "gpu", memory="8G", sbatch={"comment": "x"})
    deepest = request.of({"arch.depth": 110})
    assert deepest == Resources(600, "gpu", memory="8G", sbatch={"comment": "x", "exclusive": True})


def test_one_array_for_each_kind_of_resources():
    one, two = Resources(), Resources(time=5)
    runs = [Wanted(RunDirectory(str(number)), kind) for number, kind in enumerate((one, two, one, two, two))]
    assert [(members[0].resources, len(members)) for members in kinds(runs)] == [(one, 2), (two, 3)]


@pytest.mark.parametrize(("tasks", "sizes"), [(1, [1]), (50, [50]), (51, [51]), (52, [51, 1]), (120, [51, 51, 18])])
def test_arrays_have_no_index_that_slurm_refuses(tasks, sizes):
    arrays = split(tasks, 51)
    assert [array.tasks for array in arrays] == sizes
    assert [array.first for array in arrays] == [51 * number for number in range(len(sizes))]


def test_more_memory_after_running_out_of_it():
    request = Request.from_config({"memory": "4G", "memory_factor": 1.5, "memory_cap": "8G"})
    assert request.after_out_of_memory(request.base, 4096).memory == "6144M"
    assert request.after_out_of_memory(request.base, None).memory == "6144M"
    assert request.after_out_of_memory(request.base, 6144).memory == "8192M"
    assert request.after_out_of_memory(request.base, 8192) is None
    unsaid = Request.from_config({})
    assert unsaid.after_out_of_memory(unsaid.base, None) == unsaid.base
    assert unsaid.after_out_of_memory(unsaid.base, 1000).memory == "2000M"


def test_a_submission_is_read_as_it_was_written(tmp_path):
    sweep = SweepDirectory(tmp_path)
    sweep.slurm.mkdir()
    resources = Request.from_config(ALL).base
    submission = Submission("a-1", ["x", "y"], {"y": 2}, {}, resources, ALL, 2, 1, [Array(0, 1, "7")])
    submission.write(sweep)
    assert [Submission.read(path) for path in sweep.submissions()] == [submission]
    sweep.submission("a-1").write_text('{"format": 999}')
    with pytest.raises(BadInput, match="newer taunode"):
        Submission.read(sweep.submission("a-1"))


def test_a_job_is_called_after_its_run_or_the_sweep_and_its_share():
    root = Path("/x/it's a sweep, τ=1")
    assert job_name(root, ["seed=0-1234abcd"], 4, 5) == "seed_0-1234abcd"
    assert job_name(root, ["a", "b", "c"], 4, 9) == "it_s_a_sweep_1_5-7of9"


@pytest.mark.parametrize(
    ("sizes", "most", "shares", "lanes"),
    [
        ((3, 4), 256, [3, 4], 2),  # no limit is reached
        ((1001, 1001, 65), 256, [124, 124, 8], 3),
        ((10, 10, 10), 2, [1, 1, 1], 2),  # fewer than there are arrays: each begins after another
    ],
)
def test_one_throttle_over_all_arrays_of_a_submission(sizes, most, shares, lanes):
    arrays, at_once = throttled([Array(0, size) for size in sizes], most)
    assert ([array.parallel for array in arrays], at_once) == (shares, lanes)
    assert sum(sorted(array.parallel for array in arrays)[-at_once:]) <= most


def test_words_of_sbatch():
    text = "sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: x\n"
    assert words_of_sbatch(text) == "invalid partition specified: nope; Batch job submission failed: x"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tiem": 5}, ["hydra.launcher.tiem", "nearest: time"]),
        ({"time": "soon"}, ["hydra.launcher.time", "'soon'"]),
        ({"time": 1}, ["hydra.launcher.time=1", "signal_seconds=90"]),
        ({"memory": "much"}, ["hydra.launcher.memory", "'much'", "4G"]),
        ({"cpus": 0}, ["hydra.launcher.cpus", "0"]),
        ({"runs_per_task": 0}, ["hydra.launcher.runs_per_task", "0"]),
        ({"memory_factor": 1}, ["hydra.launcher.memory_factor", "1"]),
        ({"sbatch": {"array": "0-3"}}, ["hydra.launcher.sbatch.array"]),
        ({"resources": [{"time": 5}]}, ["hydra.launcher.resources[0]", "when"]),
        ({"resources": [{"when": "seed >", "time": 5}]}, ["hydra.launcher.resources[0].when", "not an expression"]),
        ({"resources": [{"when": "seed > 1", "tim": 5}]}, ["hydra.launcher.resources[0].tim", "time"]),
        ({"resources": [{"when": "seed > 1", "time": 1}]}, ["time=1", "signal_seconds"]),
        ({"nodes": 2, "workers_per_task": 2}, ["workers_per_task=2", "2 processes"]),
    ],
)
def test_what_cannot_be_asked_of_slurm(values, words):
    with pytest.raises(BadInput) as refused:
        Request.from_config(values)
    assert not [word for word in words if word not in str(refused.value)], refused.value


def test_a_condition_with_an_unknown_key_names_the_nearest():
    request = Request.from_config({"resources": [{"when": "arch.dept > 5", "time": 5}]})
    with pytest.raises(
        BadInput, match=r"hydra.launcher.resources\[0\].when: unknown key 'arch.dept'; nearest: arch.depth"
    ):
        request.of({"arch.depth": 20, "seed": 0})


def test_where_there_is_no_slurm(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("taunode.cluster.submit.shutil.which", lambda name: None)
    line = refusal(["-m", *TINY, "seed=0,1", "hydra/launcher=slurm"], capfd)
    assert "hydra/launcher=slurm: no sbatch, srun, squeue, scontrol here" in line
    assert list(tmp_path.iterdir()) == []


def test_a_plan_shows_resources_arrays_scripts_and_hours(tmp_path, monkeypatch, capfd):
    """Where there is no Slurm, too."""
    monkeypatch.chdir(tmp_path)
    entries = "hydra.launcher.resources=[{when: seed >= 2, time: 120, memory: 2G}]".replace("seed >= 2", "'seed >= 2'")
    options = ("seed=range(0,5)", "hydra/launcher=slurm", "hydra.launcher.max_array_size=1", entries)
    monkeypatch.setattr(sys, "argv", ["taunode-sweep", "plan", "--dry-run", *TINY, "hydra.sweep.dir=s", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    out = capfd.readouterr().out
    assert "2 runs: time 60, nodes 1, tasks 1; tasks: 1 + 1; hours: unknown" in out
    assert "3 runs: time 120, memory 2G, nodes 1, tasks 1; tasks: 1 + 1 + 1; hours: unknown" in out
    assert out.count("#!/bin/bash") == 2
    assert "#SBATCH --mem=2G" in out
    assert list(tmp_path.iterdir()) == []


def test_a_single_run_is_not_executed_where_jobs_are_submitted(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert "add -m" in refusal([*TINY, "hydra/launcher=slurm"], capfd)
    assert list(tmp_path.iterdir()) == []
