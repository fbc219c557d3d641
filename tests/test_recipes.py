"""README's recipes for extending the package, applied as they are written to a copy of it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from cli import TINY, environment

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PATH = re.compile(r'^(?:"""|# | # )((?:taunode|conf)/[\w/]+\.(?:py|yaml))')
Run = Callable[..., str]


def recipe(name: str) -> str:
    """The part of the README that begins with **name**, to the next such part or heading."""
    found = re.search(rf"\*\*{name}\*\*.*?(?=\n\*\*|\n##+ |\Z)", README, re.DOTALL)
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
    shutil.copytree(ROOT / "taunode", tmp_path / "taunode", ignore=ignored)
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


@pytest.mark.parametrize("name", ["An optimizer", "A schedule", "A key"])
def test_a_recipe_is_short(name: str) -> None:
    lines = [line for _, code in blocks(recipe(name)) for line in code if line.strip()]
    assert 5 < len(lines) <= 15


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("An optimizer", ["optimizer=rmsprop", "optimizer.alpha=0.9", "schedule.lr=0.01"], {"optimizer.alpha": 0.9}),
        ("A schedule", ["schedule=triangle", "schedule.epochs=2", "schedule.warmup_epochs=0.5"], {"schedule.lr": 0.1}),
        ("A key", ["optimizer=adamw", "optimizer.amsgrad=true"], {"optimizer.amsgrad": True}),
    ],
)
def test_it_works_as_written_and_no_signature_changes(
    name: str, words: list[str], says: dict[str, object], package: Path, run: Run
) -> None:
    apply(recipe(name), package)
    run("-m", "taunode.train", *TINY, *words, "hydra.run.dir=run")
    config = yaml.safe_load((package / "run" / "config.yaml").read_text())
    for key, value in says.items():
        group, _, rest = key.partition(".")
        assert config[group][rest] == value
    assert len((package / "run" / "metrics.csv").read_text().splitlines()) == config["schedule"]["epochs"] + 1
    assert run("-c", UNCHANGED).strip() == "[]"
    option = words[0].partition("=")
    assert option[2] in run("-m", "taunode.train", "--help")


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
