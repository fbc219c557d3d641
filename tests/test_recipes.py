"""The recipes for extending the package, of docs/extending.md, applied as they are written to a copy of it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from cli import TINY, environment

ROOT = Path(__file__).parents[1]
RECIPES = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
PATH = re.compile(r'^(?:"""|# | # )((?:taunode|multirun_analysis|conf)/[\w/]+\.(?:py|yaml))')
Run = Callable[..., str]


def recipe(name: str) -> str:
    """The part of the recipes that begins with **name**, to the next such part or heading."""
    found = re.search(rf"\*\*{name}\*\*.*?(?=\n\*\*|\n##+ |\Z)", RECIPES, re.DOTALL)
    assert found is not None
    return found[0]


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Its blocks of code: language, lines."""
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield language, code.splitlines()


def apply(text: str, root: Path) -> None:
    for language, lines in blocks(text):
        if language == "diff":
            change(lines, root)
        else:
            path = PATH.match(lines[0])
            assert path is not None, lines[0]
            assert not (root / path[1]).exists()
            (root / path[1]).write_text("\n".join(lines) + "\n", encoding="utf-8")


def change(diff: list[str], root: Path) -> None:
    """Change files as a diff without line numbers says: each of its old lines is found below the one before it."""
    file, place = root, 0
    for line in diff:
        mark, text = line[:1], line[1:]
        if (path := PATH.match(line)) is not None:
            file, place = root / path[1], 0
            continue
        content = file.read_text(encoding="utf-8").splitlines()
        if mark == "+":
            content.insert(place, text)
            place += 1
        else:
            place = content.index(text, place)
            if mark == "-":
                del content[place]
            else:
                place += 1
        file.write_text("\n".join(content) + "\n", encoding="utf-8")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of what a recipe may change."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("taunode", "multirun_analysis"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copytree(ROOT / "conf", tmp_path / "taunode" / "conf", ignore=ignored)  # found before the installed one
    (tmp_path / "conf").symlink_to("taunode/conf")
    return tmp_path


@pytest.fixture
def run(package: Path) -> Run:
    def call(*words: str, code: int = 0) -> str:
        paths = environment(PYTHONPATH=f"{package}{os.pathsep}{ROOT / 'tests'}", TAUNODE_CACHE=str(package / "cache"))
        done = subprocess.run([sys.executable, *words], cwd=package, env=paths, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return call


UNCHANGED = """
import sys
from pathlib import Path
from runs.golden import frozen, read
from taunode.runs.signature import signature
golden = read()
lines = list(golden)[::12] + [line for line in golden if "adamw" in line]
found = {line: signature(config) for line, config in frozen(lines, Path.cwd()).items()}
print([line for line in lines if found[line] != golden[line]])
"""


@pytest.mark.parametrize("name", re.findall(r"^\*\*(An? [\w ]+)\*\*", RECIPES, re.MULTILINE))
def test_a_recipe_is_short(name: str) -> None:
    """Not counting the lines that say which file it is."""
    lines = [line for _, code in blocks(recipe(name)) for line in code if line.strip() and not PATH.match(line)]
    assert 3 <= len(lines) <= 15


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("An optimizer", ["optimizer=rmsprop", "optimizer.alpha=0.9", "schedule.lr=0.01"], {"optimizer.alpha": 0.9}),
        ("A schedule", ["schedule=triangle", "schedule.epochs=2", "schedule.warmup_epochs=0.5"], {"schedule.lr": 0.1}),
        (
            "A solver",
            ["solver=ssp3", "arch=rkhs_node", "arch.layers=2", "schedule=mnist_flow", "schedule.epochs=1"],
            {"solver.b": [1 / 6, 1 / 6, 2 / 3]},
        ),
        ("An initialisation", ["init=orthogonal", "init.gain=0.5", "tau=inverse_sqrt"], {"init.gain": 0.5}),
        (
            "A block with a state",
            ["arch=nesterov", "arch.norm=none", "tau=inverse", "arch.checkpoint_segments=2"],
            {"arch.width": 1.0},
        ),
        ("A network without τ", ["arch=perceptron", "arch.width=8"], {"arch.width": 8}),
        ("A τ rule", ["tau=rising", "tau.scale=0.5", "arch.norm=none"], {"tau.learn": "block"}),
        ("A data set", ["dataset=mine", "dataset.holdout=20"], {"dataset.fingerprint": "mine-1"}),
        ("A key", ["optimizer=adamw", "optimizer.amsgrad=true"], {"optimizer.amsgrad": True}),
    ],
)
def test_it_works_as_written_and_no_signature_changes(
    name: str, words: list[str], says: dict[str, object], package: Path, run: Run
) -> None:
    apply(recipe(name), package)
    other = {"A solver": "arch", "A network without τ": "arch", "A data set": "dataset"}.get(name, "nothing")
    tiny = [word for word in TINY if not word.startswith(other)]
    (package / "data").mkdir()
    sizes = {"train": 500, "test": 100}
    arrays = {f"{part}_pixels": np.zeros((size, 1, 12, 12), np.uint8) for part, size in sizes.items()}
    labels = {f"{part}_labels": np.arange(size) % 10 for part, size in sizes.items()}
    np.savez(package / "data" / "mine.npz", **arrays, **labels)
    run("-m", "taunode.train", *tiny, *words, "hydra.run.dir=run")
    config = yaml.safe_load((package / "run" / "config.yaml").read_text())
    for key, value in says.items():
        group, _, rest = key.partition(".")
        assert config[group][rest] == value
    assert len((package / "run" / "metrics.csv").read_text().splitlines()) == config["schedule"]["epochs"] + 1
    assert run("-c", UNCHANGED).strip() == "[]"
    option = words[0].partition("=")
    assert option[2] in run("-m", "taunode.train", "--help")
    if option[0] in ("tau", "dataset", "schedule", "solver"):
        loaded = run(
            "-c", f"import {config[option[0]]['_target_'].rpartition('.')[0]}, sys; print(*sys.modules)"
        ).split()
        assert not {"torch", "torchvision", "scipy"} & set(loaded)


def test_a_figure_is_drawn_as_written(package: Path, run: Run) -> None:
    run("-m", "taunode.train", "-m", *TINY, "tau=one,inverse_sqrt", "seed=0,1", "hydra.sweep.dir=s")
    apply(recipe("A figure"), package)
    analysis = ("-c", "from multirun_analysis.command import main; main()", "figure")
    run(*analysis, "s", "spread", "--output", "spread.csv")
    assert len((package / "spread.csv").read_text().splitlines()) == 3
    assert "the sd of the seeds against their mean" in run(*analysis, "--help")


def test_a_later_key_is_in_old_runs_as_its_absence_meant(package: Path, run: Run) -> None:
    run("-m", "taunode.train", *TINY, "optimizer=adamw", "hydra.run.dir=run")
    apply(recipe("A key"), package)
    same = run("-m", "taunode.train", *TINY, "optimizer=adamw", "hydra.run.dir=run")
    assert "done" in same
    refused = run(
        "-m", "taunode.train", *TINY, "optimizer=adamw", "optimizer.amsgrad=true", "hydra.run.dir=run", code=2
    )
    assert "optimizer.amsgrad (False there, True here)" in refused
    read = "from taunode.runs.directory import RunDirectory; print(RunDirectory('run').read_config()['optimizer'])"
    assert "'amsgrad': False" in run("-c", read)
