"""One grammar for all commands, the size of a grid, and what `--cfg` shows."""

import pytest
import yaml
from cli import refusal

from taunode.command.line import Line, changes
from taunode.errors import BadInput
from taunode.train import main


def test_what_changes_when_a_sweep_goes_on_is_in_hydras_grammar():
    """As `taunode` reads it: YAML would make 43,200 minutes of the first, and 8 of the second."""
    typed = ["hydra.launcher.time=12:00:00", "hydra.launcher.memory=010", "hydra.launcher.setup=[module load a]"]
    assert changes([*typed, "runtime.threads=2"]) == {
        "runtime": {"threads": 2},
        "hydra.launcher": {"time": "12:00:00", "memory": "010", "setup": ["module load a"]},
    }
    assert changes([]) == {"runtime": {}, "hydra.launcher": {}}


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("seed=3", "only settings of how runs are executed can change"),
        ("runtime.threads", "runtime.threads"),
        ("runtime.threads={", "not an override"),
        ("runtime.threads=1,2", "several values"),
        ("runtime.thread=1", "nearest: runtime.threads"),
        ("hydra.launcher.tiem=5", "nearest: hydra.launcher.time"),
        ("~runtime.threads", "only settings"),
        ("+runtime.more=1", "only settings"),
    ],
)
def test_what_cannot_change(typed, words):
    with pytest.raises(BadInput, match=r"runtime|seed|hydra") as refused:
        changes([typed])
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["-m", "seed=range(0,1e9)"], "1,000,000,000 runs; if that is what you want, add --yes"),
        (["-m", "seed=range(0,400)", "schedule.lr=range(0.1,60)", "tau=one,inverse", "arch.depth=20,26,32"], "--yes"),
        (["-m", "schedule.factor=range(0,1,0)"], "no end"),
        (["-m", "--adopt", "--new", "seed=0,1"], "choose one"),
        (["--adopt"], "--adopt is about a sweep: add -m"),
        (["--yes", "seed=1"], "--yes is about a sweep"),
        (["-m", "seed=interval(0,1)"], "interval"),
        (["hydra.sweep.subdir=x", "-m", "seed=0,1"], "hydra.sweep.subdir is not supported"),
        (["+hydra.job.env_set.A=b"], "hydra.job.env_set is not supported"),
        (["=3"], "=3: not an override"),
        (["--config-dir", "setup.cfg"], "no such directory"),
        (["-m", "hydra.sweeper=fp32"], "a sweeper is chosen with hydra/sweeper=OPTION"),
        (["-m", "hydra.launcher._target_=MULTIRUN"], "a launcher is chosen with hydra/launcher=OPTION"),
        (["-m", "--yes", "arch=range(0,1e9)"], "these lists make 1,000,000,000 runs; a sweep has at most 10,000,000"),
        (["-m", "~tau=range(0,1,0)"], "this range has no end"),
        (["-m", "tau._target_=str([1])"], "is not allowed"),
        (["-m", "hydra.callbacks=${oc.env:NOPE}"], "Environment variable 'NOPE' not found"),
        (["-m", "+hydra/launcher=local", "schedule.epoch=2"], "unknown key 'schedule.epoch'"),
        (["-m", "hydra/sweeper=basic", "++hydra.sweeper.params=20", "seed=1,2"], "hydra.sweeper.params"),
        (["--info", "all", "b}"], "b}: not an override"),
        (["--info", "all", "-m"], "--multirun and --info exclude each other"),
    ],
)
def test_refused_before_anything_is_made(typed, words, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert words in refusal(typed, capfd)
    assert list(tmp_path.iterdir()) == []


def test_a_line_break_in_an_override_is_shown_as_one(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert "a\\nb" in refusal(["tau=a\nb"], capfd)


def shown(capfd: pytest.CaptureFixture[str], *typed: str) -> tuple[dict, str]:
    with pytest.raises(SystemExit) as ended:
        main(typed)
    out, err = capfd.readouterr()
    assert ended.value.code == 0, err
    return yaml.safe_load(out), err


def test_cfg_shows_the_configuration_of_a_run_and_of_the_first_run_of_a_sweep(capfd):
    config, err = shown(capfd, "--cfg", "job", "tau=inverse_sqrt", "seed=3")
    assert (config["tau"]["exponent"], config["seed"], "hydra" in config, err) == (0.5, 3, False, "")
    config, err = shown(capfd, "-m", "--cfg", "all", "seed=7,8", "tau=one,inverse")
    assert (config["seed"], config["hydra"]["sweep"]["subdir"]) == (7, "runs")
    assert "the first of 4 runs" in err
    config, _ = shown(capfd, "--cfg", "hydra", "hydra/launcher=slurm", "-p", "hydra.launcher")
    assert config["array_parallelism"] == 256
    resolved, _ = shown(capfd, "--cfg", "job", "--resolve", "-p", "runtime")
    assert "${" not in str(resolved)
    with pytest.raises(SystemExit):
        main(["--cfg", "job", "-p", "tua"])
    assert "nearest: tau" in capfd.readouterr().err


def test_a_line_says_what_it_is_refused_for():
    with pytest.raises(BadInput, match="valid: inverse_sqrt"):
        Line.of(["tau=inverse_sqr"]).composer()
