"""The experiments: every file composes and plans, says what it is, and has a small one beside it."""

import csv
import re
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image

from taunode.command.line import Line
from taunode.command.plugins import register
from taunode.plan.command_line import plan_multirun
from taunode.plan.plan import Plan

CONF = Path(__file__).parents[2] / "conf" / "experiment"
RUNS = {
    "cifar_depth_bn": 30,
    "cifar_depth_nobn": 30,
    "cifar_tau_nobn": 18,
    "imagenet_bn": 18,
    "imagenet_nobn": 18,
    "mnist_fig1a": 120,
    "mnist_fig1b": 120,
    "mnist_fig2": 60,
    "cifar_fig3": 60,
    "forward_stability": 126,
    "preactivation": 90,
    "momentum": 72,
    "smooth_init": 180,
    "lr_transfer": 315,
    "without_norm": 270,
}  # of the papers' experiments


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory but for four photographs in the place of ImageNet: planning downloads nothing."""
    for split in ("train", "validation"):
        for name in ("cat", "dog"):
            folder = tmp_path / "data" / "imagenet" / split / name
            folder.mkdir(parents=True)
            Image.new("RGB", (40, 30)).save(folder / "1.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAUNODE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TAUNODE_DATA", raising=False)


def plan(*overrides: str) -> Plan:
    register()
    composer = Line.of(overrides, multirun=True).composer()
    return plan_multirun(composer, composer.typed)


def header(name: str) -> str:
    lines = (CONF / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith("#"))


@pytest.mark.parametrize("name", RUNS)
def test_the_grid_of_a_papers_experiment(name, tmp_path):
    planned = plan(f"experiment={name}")
    assert len(planned.runs) == RUNS[name]
    assert planned.root == tmp_path / "sweeps" / name
    seeds = {20: "mnist_fig1a mnist_fig1b mnist_fig2", 10: "cifar_fig3"}
    expected = next((count for count, names in seeds.items() if name in names.split()), 3)
    assert {run.config["seed"] for run in planned.runs} == set(range(expected))


@pytest.mark.parametrize("name", RUNS)
def test_the_header_of_a_papers_experiment(name):
    text = header(name)
    for word in ("Figure ", "Command ", "Cost ", "Expected "):
        assert f"\n# {word}" in text
    assert f"taunode -m experiment={name}" in text


def published() -> list[dict[str, str]]:
    text = files("multirun_analysis.papers").joinpath("published.csv").read_text(encoding="utf-8")
    return [row for row in csv.DictReader(text.splitlines()) if row["mean"] and row["role"] == "published"]


@pytest.mark.parametrize("name", sorted({row["experiment"] for row in published()} & RUNS.keys()))
def test_the_header_has_every_published_number(name):
    numbers = {float(number) for number in re.findall(r"\d+\.\d+", header(name))}
    means = {row["mean"] for row in published() if row["experiment"] == name}
    assert [mean for mean in means if round(float(mean), 2) not in numbers] == []


@pytest.mark.parametrize("name", RUNS)
def test_a_small_one_beside_it(name, tmp_path):
    """No download, its own directory, and a header that says what it shows."""
    planned = plan(f"experiment=small/{name}")
    assert planned.root == tmp_path / "sweeps" / "small" / name
    assert {run.config["dataset"]["name"] for run in planned.runs} <= {"digits", "synthetic"}
    assert "\n# Shows " in header(f"small/{name}")
    large = plan(f"experiment={name}", "seed=0").runs
    assert {run.config["arch"]["_target_"] for run in planned.runs} == {run.config["arch"]["_target_"] for run in large}


def networks(name: str) -> set[tuple[str, str]]:
    configs = [run.config for run in plan(f"experiment={name}", "seed=0").runs]
    return {(config["arch"]["_target_"].rpartition(".")[2], config["arch"]["interpolation"]) for config in configs}


@pytest.mark.parametrize("name", ["mnist_fig1a", "mnist_fig1b", "small/mnist_fig1a", "small/mnist_fig1b"])
def test_only_the_published_rkhs_curves_extrapolate(name):
    assert networks(name) == {("RkhsNode", "original"), ("ShlNode", "exact")}


@pytest.mark.parametrize("name", ["mnist_fig2", "small/mnist_fig2"])
def test_four_channels_have_a_new_embedding_each_seed(name):
    configs = [run.config for run in plan(f"experiment={name}").runs]
    assert {(config["arch"]["channels"], config["embedding"]["seed"]) for config in configs} == {
        (32, 0),
        (8, 0),
        (4, None),
    }
    assert all(config["arch"]["channels"] == config["arch"]["hidden_channels"] for config in configs)


def test_the_exponents_of_the_explosion_experiment():
    runs = plan("experiment=cifar_tau_nobn", "seed=0").runs
    labels = {run.facts["tau"].removesuffix(" learned") for run in runs}
    assert labels == {"1", "L^-1/4", "L^-0.4", "L^-1/2", "L^-1", "0.5·L^-1/2"}
