"""A wheel works without the repository: options and digits travel inside, and a run ends in an empty directory."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cli import TINY

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, so that nothing is left in the repository."""
    pytest.importorskip("setuptools", reason="the wheel is built with the setuptools of this environment")
    here = tmp_path_factory.mktemp("wheel")
    source = here / "source"
    for name in ("conf", "taunode", "multirun_analysis"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(here)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", str(source), *options], check=True, cwd=here)
    (made,) = here.glob("taunode-*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    options = ["--no-deps", "--no-index", "--quiet", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", str(wheel), *options], check=True)
    return target


def python(installed: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def test_everything_that_is_no_code_is_inside(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    conf = {f"taunode/conf/{path.relative_to(ROOT / 'conf').as_posix()}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert len(conf) > 20
    assert conf <= inside
    digits = {"taunode/data/digits.npz", "taunode/data/digits-licence.txt"}
    assert digits | {"taunode/conf/__init__.py", "taunode/py.typed", "multirun_analysis/py.typed"} <= inside
    assert {"multirun_analysis/papers/published.csv", "multirun_analysis/papers/protocols.yaml"} <= inside
    modules = {
        path.relative_to(ROOT).as_posix()
        for part in ("taunode", "multirun_analysis")
        for path in (ROOT / part).rglob("*.py")
    }
    assert modules <= inside
    assert not [name for name in inside if name.startswith(("tests", "benchmarks", "conf/"))]


def test_the_commands_are_declared(wheel):
    with zipfile.ZipFile(wheel) as packed:
        (name,) = [name for name in packed.namelist() if name.endswith("entry_points.txt")]
        text = packed.read(name).decode()
    for command in ("taunode = taunode.train:main", "taunode-sweep = ", "multirun-analysis = "):
        assert command in text


def test_it_runs_from_an_empty_directory_without_the_repository(installed, tmp_path):
    where = "import taunode, multirun_analysis; print(taunode.__file__); print(multirun_analysis.__file__)"
    for line in python(installed, "-P", "-c", where, cwd=tmp_path).stdout.split():
        assert Path(line).is_relative_to(installed)
    conf = (
        "import taunode.build as build; import taunode.conf as conf; print(conf.__path__[0]); build.allowed_targets()"
    )
    assert Path(python(installed, "-P", "-c", conf, cwd=tmp_path).stdout.strip()).is_relative_to(installed)
    shown = python(installed, "-P", "-m", "taunode.train", "--help", cwd=tmp_path)
    assert "inverse_sqrt" in shown.stdout
    tiny = [word for word in TINY if not word.startswith("dataset")] + ["dataset=digits"]
    done = python(installed, "-P", "-m", "taunode.train", *tiny, "hydra.run.dir=run", cwd=tmp_path)
    assert done.stdout.startswith("run: done, test error ")
    assert (tmp_path / "run" / "metrics.csv").read_text().count("\n") == 2
