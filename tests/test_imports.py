"""Which way imports point: a part of the package knows only what is below it, and light parts stay light."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli import environment

from taunode import build

ROOT = Path(__file__).parents[1]

# What the analysis reads run directories, and archives of them, with.
RUNS = tuple(
    f"taunode.runs.{name}"
    for name in ("config", "directory", "files", "manifest", "note", "observe", "state", "where", "signature", "unpack")
)
# What a part may import of this package; a part may always import itself, taunode.errors and taunode.paths.
BELOW: dict[str, tuple[str, ...]] = {
    "taunode.errors": (),
    "taunode.paths": (),
    "taunode.orphan": (),
    "taunode.interrupt": (),
    "taunode.absent": (),
    "taunode.own_code": (),
    "taunode.models": ("taunode.absent",),
    "taunode.data": ("taunode.orphan", "taunode.absent"),
    "taunode.training": ("taunode.models", "taunode.data", "taunode.absent"),
    "taunode.build": ("taunode.own_code", "taunode.models", "taunode.data", "taunode.training"),
    "taunode.runs": ("taunode.build", "taunode.own_code", "taunode.training.checkpoint", "taunode.absent"),
    "taunode.work": (
        "taunode.runs",
        "taunode.build",
        "taunode.training",
        "taunode.models",
        "taunode.data",
        "taunode.orphan",
    ),
    "taunode.cluster": ("taunode.runs", "taunode.build", "taunode.own_code"),
    "taunode.cluster.task": ("taunode.cluster", "taunode.work", "taunode.runs", "taunode.own_code"),
    "taunode.plan": (
        "taunode.orphan",
        "taunode.runs",
        "taunode.own_code",
        "taunode.build",
        "taunode.training",
        "taunode.models",
    ),
    "taunode.show": ("taunode.plan", "taunode.cluster", "taunode.runs", "taunode.build"),
    "taunode.command": (
        "taunode.interrupt",
        "taunode.own_code",
        "taunode.show",
        "taunode.plan",
        "taunode.cluster",
        "taunode.work",
        "taunode.runs",
        "taunode.build",
        "taunode.training",
        "taunode.data",
    ),
    "taunode.launch": ("taunode.cluster.task",),
    "taunode.api": ("taunode.command", "taunode.plan", "taunode.work", "taunode.runs", "taunode.build"),
    "taunode.train": ("taunode.command", "taunode.interrupt", "taunode.own_code"),
    "taunode": ("taunode.api",),
    "multirun_analysis.labels": (),
    "multirun_analysis.stats": (),
    "multirun_analysis.read": ("multirun_analysis.labels", "taunode.cluster.submission", *RUNS),
    "multirun_analysis.cell": ("multirun_analysis.read", "multirun_analysis.labels", "multirun_analysis.stats", *RUNS),
    "multirun_analysis.papers": (
        "multirun_analysis.cell",
        "multirun_analysis.labels",
        "multirun_analysis.stats",
        "taunode.runs.signature",
        "taunode.runs.state",
    ),
    "multirun_analysis.tables": (
        "multirun_analysis.cell",
        "multirun_analysis.read",
        "multirun_analysis.labels",
        "taunode.runs.state",
    ),
    "multirun_analysis.figures": (
        "multirun_analysis.cell",
        "multirun_analysis.papers",
        "multirun_analysis.tables",
        "multirun_analysis.read",
        "multirun_analysis.stats",
        "multirun_analysis.labels",
        "taunode.runs.state",
    ),
    "multirun_analysis.report": (
        "multirun_analysis.figures",
        "multirun_analysis.tables",
        "multirun_analysis.papers",
        "multirun_analysis.cell",
        "multirun_analysis.read",
        "multirun_analysis.labels",
        *RUNS,
    ),
    "multirun_analysis": RUNS,
}
HYDRA = ("taunode.plan", "taunode.show", "taunode.command", "taunode.train", "taunode.api")
LIGHT = (
    "errors",
    "paths",
    "orphan",
    "interrupt",
    "absent",
    "build",
    "models.init",
)
PLANNED = ("tau", "solver", "dataset", "schedule")  # groups whose options are asked when runs are planned
ROOMS = [["taunode", name] for name in ("runs", "work", "cluster", "plan", "show", "command", "launch")]


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("taunode", "multirun_analysis"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def imported(path: Path) -> set[str]:
    """Everything a module imports anywhere in it, in functions and for type checking too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def part_of(module: str) -> str:
    return max((part for part in BELOW if within(module, part)), key=len)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    own = part_of(module)
    allowed = (own, "taunode.errors", "taunode.paths", *BELOW[own])
    ours = {name for name in imported(MODULES[module]) if name.split(".")[0] in ("taunode", "multirun_analysis")}
    wrong = {name for name in ours if not any(within(name, part) for part in allowed)}
    assert not wrong, f"{module} may import {', '.join(allowed)}"


@pytest.mark.parametrize("module", MODULES)
def test_hydra_stays_at_the_top(module):
    if any(within(module, part) for part in HYDRA):
        return
    assert not {name for name in imported(MODULES[module]) if name.split(".")[0] in ("hydra", "omegaconf")}


@pytest.mark.parametrize("module", [name for name in MODULES if within(name, "multirun_analysis")])
def test_the_analysis_never_imports_torch(module):
    assert not {name for name in imported(MODULES[module]) if name.split(".")[0] in ("torch", "torchvision")}


def modules_after(imports: list[str]) -> set[str]:
    """What is loaded once these modules have been imported, in a process of its own."""
    script = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    command = [sys.executable, "-c", script, *imports]
    return set(subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout.split())


def test_light_modules_load_no_torch():
    heavy = ("taunode.work.attempt", "taunode.work.cost", "taunode.work.embedding")  # what executes a run
    rooms = [name for name in MODULES if name.split(".")[0:2] in ROOMS and name not in heavy]
    asked = {target.rpartition(".")[0] for group in PLANNED for target in build.allowed_targets(group)}
    light = ["taunode", "taunode.train", *(f"taunode.{name}" for name in LIGHT), *sorted(asked), *rooms]
    assert not {"torch", "torchvision", "sklearn", "scipy"} & modules_after(light)


def test_what_executes_runs_loads_no_hydra():
    below = [name for name in MODULES if within(name, "taunode") and not any(within(name, part) for part in HYDRA)]
    assert not {"hydra", "omegaconf"} & modules_after([name for name in below if name != "taunode"])


def test_a_node_loads_neither_the_launcher_nor_what_it_shows():
    loaded = modules_after(["taunode.cluster.task", "taunode.work.attempt", "taunode.work.follower"])
    assert not {"rich", "typer", "submitit", "hydra"} & loaded
    assert not [name for name in loaded if name.startswith(("taunode.command", "taunode.show", "taunode.plan"))]


def test_the_analysis_loads_neither_torch_nor_hydra():
    analysis = [name for name in MODULES if within(name, "multirun_analysis")]
    assert not {"torch", "torchvision", "hydra", "omegaconf"} & modules_after(analysis)


def test_every_module_states_its_idea():
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py" and not path.read_text()}
    without = [
        name
        for name, path in MODULES.items()
        if name not in packages and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not without


def test_no_module_is_a_drawer():
    names = {name.rpartition(".")[2] for name in MODULES}
    assert not names & {"utils", "util", "misc", "common", "helpers"}


def test_every_folder_is_packaged():
    import configparser

    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    found = {"taunode", "multirun_analysis", "taunode.conf"}
    for package in ("taunode", "multirun_analysis"):
        module = importlib.import_module(package)
        found |= {info.name for info in pkgutil.walk_packages(module.__path__, f"{package}.") if info.ispkg}
    assert listed == found
