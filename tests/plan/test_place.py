"""Data of the user: whatever a directory holds, no command changes it, and refuses to write there unless it is empty
or its own.

Every shape of a directory × every way to name it; each shape goes two of the ways, or all of them with
`TAUNODE_SCALE=1`.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli import snapshot
from commands import Commands, Ended
from harness import plan, scaled

from taunode.runs.directory import RunDirectory

TINY = (
    *("arch=resnet", "arch.depth=8", "dataset=synthetic", "dataset.train_images=64", "dataset.test_images=16"),
    *("schedule.epochs=1", "schedule.batch_size=16", "runtime.device=cpu", "runtime.threads=1"),
)
FROM_PYTHON = """
import sys, taunode
from taunode.errors import BadInput
try:
    taunode.run(taunode.compose(sys.argv[3:]), sys.argv[2])
except BadInput as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""


def _sweep(*words: str) -> Callable[[str], list[str]]:
    return lambda path: [*words, *TINY, "seed=0,1", f"hydra.sweep.dir={path}"]


WAYS: dict[str, Callable[[str], list[str]]] = {
    "taunode": lambda path: ["taunode", *TINY, f"hydra.run.dir={path}"],
    "taunode -m": _sweep("taunode", "-m"),
    "basic sweeper": _sweep("taunode", "-m", "hydra/sweeper=basic"),
    "basic launcher": _sweep("taunode", "-m", "hydra/launcher=basic"),
    "both basic": _sweep("taunode", "-m", "hydra/sweeper=basic", "hydra/launcher=basic"),
    "plan": _sweep("taunode-sweep", "plan"),
    "taunode.run": lambda path: ["python", FROM_PYTHON, path, *TINY],
}
OF_A_RUN = ("taunode", "taunode.run")  # the others are of a sweep


@dataclass(frozen=True)
class Shape:
    """What a directory may hold.

    Attributes:
        make: makes it, below a new directory in which commands are typed.
        typed: how the directory is written, where it is not `mine`; `{here}` is where the command is typed.
        goes_on: the ways in which it is used, being empty or ours.
        kept: what in it is the user's own all the same.
    """

    name: str
    make: Callable[[Path], object]
    typed: str = "mine"
    goes_on: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def files(**contents: str) -> Callable[[Path], None]:
    """Files in `mine`; `__` in a name stands for a slash, `_dot_` for a point."""

    def make(here: Path) -> None:
        for name, content in contents.items():
            path = here / "mine" / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return make


def _git(here: Path) -> None:
    (here / "mine").mkdir()
    subprocess.run(["git", "init", "--quiet", here / "mine"], check=True)
    (here / "mine" / "train.py").write_text("print(1)\n")


def _linked(here: Path) -> None:
    files(notes_dot_txt="mine")(here)
    (here / "mine").rename(here / "theirs")
    (here / "mine").symlink_to("theirs")


def _dangling_inside(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "run.json").symlink_to(here / "nowhere")


def _special(here: Path) -> None:
    (here / "mine").mkdir()
    os.mkfifo(here / "mine" / "queue")


def _bytes(here: Path) -> None:
    (here / "mine").mkdir()
    Path(os.fsdecode(os.fsencode(here / "mine") + b"/\xff\xfe.dat")).write_text("mine")


def _bytes_above(here: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(here) + b"/min\xe9"))
    path.mkdir()
    (path / "notes.txt").write_text("mine")


def _another_program(here: Path) -> None:
    """A multirun of another program, as Hydra leaves it."""
    for number in range(2):
        run = here / "mine" / str(number)
        (run / ".hydra").mkdir(parents=True)
        (run / ".hydra" / "config.yaml").write_text(f"lr: 0.{number}\n")
        (run / "metrics.csv").write_text("epoch,loss\n1,2\n")
    (here / "mine" / "multirun.yaml").write_text("hydra:\n  job:\n    name: theirs\n")


def _ours(here: Path) -> None:
    """A sweep of ours, with other seeds."""
    plan(here / "mine", seeds=1, command=OVERRIDES)


OVERRIDES = {"command": ["taunode", "-m"], "overrides": ["seed=7"]}


def _without_commands(here: Path) -> None:
    _ours(here)
    shutil.rmtree(here / "mine" / "commands")


def _ours_and_notes(here: Path) -> None:
    _ours(here)
    (here / "mine" / "README").write_text("mine")
    (here / "mine" / "runs" / "notes.txt").write_text("mine")


def _newer(here: Path) -> None:
    _ours(here)
    for path in (here / "mine" / "runs").glob("*/run.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 999}))


def _ours_begun(here: Path) -> None:
    """The command was killed before its first run was there."""
    _ours(here)
    for run in (here / "mine" / "runs").iterdir():
        run.rename(run.with_name(f".{run.name}.0123abcd"))


def _only_a_command(here: Path) -> None:
    _ours(here)
    shutil.rmtree(here / "mine" / "runs")


def _only_a_lock(here: Path) -> None:
    (here / "mine" / "commands").mkdir(parents=True)
    (here / "mine" / "commands" / ".lock").touch()


def _of_hydra_for_us(here: Path) -> None:
    """Another sweeper of Hydra's was killed before it handed the jobs over."""
    (here / "mine").mkdir()
    (here / "mine" / "multirun.yaml").write_text("hydra:\n  job:\n    name: taunode\n")


def _run_of_ours(here: Path) -> None:
    _ours(here)
    (run,) = (here / "mine" / "runs").iterdir()
    run.rename(here / "run")
    (here / "mine" / "commands").rename(here / "run" / "commands")
    record = json.loads((here / "run" / "run.json").read_text())
    record["command"] = record["command"].removeprefix("../../")
    (here / "run" / "run.json").write_text(json.dumps(record))
    shutil.rmtree(here / "mine")
    (here / "run").rename(here / "mine")


def _begun_run_of_ours(here: Path) -> None:
    """The command was killed between the run's two files."""
    _run_of_ours(here)
    (here / "mine" / "run.json").rename(here / "mine" / ".run.json.0123abcd")


EVERY = tuple(WAYS)
SWEEPS = tuple(way for way in WAYS if way not in OF_A_RUN)
SHAPES = [
    Shape("a configuration", files(config_dot_yaml="lr: 0.1\n")),
    Shape("metrics", files(metrics_dot_csv="epoch,loss\n1,2\n")),
    Shape("a log", files(log_dot_txt="mine\n")),
    Shape("all of a run's names", files(config_dot_yaml="a: 1", metrics_dot_csv="x\n", log_dot_txt="y\n", done="z")),
    Shape("a run.json of another program", files(run_dot_json='{"id": 1}\n')),
    Shape("a run.json that is none", files(run_dot_json="mine\n", config_dot_yaml="a: 1\n")),
    Shape("a git checkout", _git),
    Shape("runs/ of another program", files(runs__first__notes_dot_txt="mine")),
    Shape("runs/ with files", files(runs__first_dot_csv="1,2\n", runs__second_dot_csv="3\n")),
    Shape("runs, a file", files(runs="mine")),
    Shape("commands, a file", files(commands="mine")),
    Shape("commands/ with foreign YAML", files(commands__deploy_dot_yaml="steps: [a, b]\n")),
    Shape("commands/ with foreign YAML that has a format", files(commands__deploy_dot_yaml="format: 1\nsteps: [a]\n")),
    Shape("commands/ with a script", files(commands__start_dot_sh="echo 1\n")),
    Shape("slurm/ with scripts", files(slurm__job_dot_sh="#SBATCH\n")),
    Shape("slurm/ with a submission's name", files(slurm__job_dot_json="{}\n")),
    Shape("a hidden file", files(_dot_env="PASSWORD=1\n")),
    Shape("a hidden copy with its date", files(_dot_env_dot_20240101="PASSWORD=1\n")),
    Shape("a hidden folder", files(_dot_config__x="1\n")),
    Shape("an empty folder", lambda here: (here / "mine" / "data").mkdir(parents=True)),
    Shape("a file", lambda here: (here / "mine").write_text("mine")),
    Shape("a pipe", lambda here: os.mkfifo(here / "mine")),
    Shape("a pipe inside", _special),
    Shape("a link to a directory", _linked),
    Shape("a link to itself", lambda here: (here / "mine").symlink_to("mine")),
    Shape("a link to nothing inside", _dangling_inside),
    Shape("names that are not UTF-8", _bytes),
    Shape("a name that is not UTF-8", _bytes_above, typed=os.fsdecode(b"min\xe9")),
    Shape("a multirun of another program", _another_program),
    Shape("multirun.yaml of another program", files(multirun_dot_yaml="hydra:\n  job:\n    name: theirs\n")),
    Shape("a run of another program", files(_dot_hydra__config_dot_yaml="lr: 1\n", metrics_dot_csv="epoch\n1\n")),
    Shape("the directory itself", files(notes_dot_txt="mine"), typed="."),
    Shape("its parent", files(notes_dot_txt="mine"), typed="mine/.."),
    Shape("the home", files(notes_dot_txt="mine"), typed="~"),
    Shape("the home by its variable", files(notes_dot_txt="mine"), typed="$HOME"),
    Shape("the home by its path", files(notes_dot_txt="mine"), typed="{here}"),
    Shape("an empty home", lambda here: (here / "empty").mkdir(), typed="~/empty/.."),
    Shape("the root", files(notes_dot_txt="mine"), typed="/"),
    Shape("a file above", files(notes="mine"), typed="mine/notes/x"),
    Shape("runs/ of a sweep of ours", _ours, typed="mine/runs"),
    Shape("a newer taunode's sweep", _newer),
    # Empty, or ours
    Shape("nothing", lambda here: None, goes_on=EVERY),
    Shape("empty", lambda here: (here / "mine").mkdir(), goes_on=EVERY),
    Shape(
        "a link to an empty one", lambda here: ((here / "e").mkdir(), (here / "mine").symlink_to("e")), goes_on=EVERY
    ),
    Shape("a link to nothing", lambda here: (here / "mine").symlink_to("nowhere"), goes_on=EVERY),
    Shape("new, below what is not there", lambda here: None, typed="a/b/c", goes_on=EVERY),
    Shape("only a lock", _only_a_lock, goes_on=EVERY),
    Shape("a sweep of ours", _ours, goes_on=SWEEPS),
    Shape("a sweep of ours without commands/", _without_commands, goes_on=SWEEPS),
    Shape("a sweep of ours and the user's notes", _ours_and_notes, goes_on=SWEEPS, kept=("README", "runs/notes.txt")),
    Shape("a sweep of ours whose runs were being made", _ours_begun, goes_on=SWEEPS),
    Shape("a command of ours without runs", _only_a_command, goes_on=EVERY),
    Shape("multirun.yaml for us", _of_hydra_for_us, goes_on=SWEEPS),
    Shape("a run of ours, another one", _run_of_ours),
    Shape("a run of ours that was being made", _begun_run_of_ours, goes_on=OF_A_RUN),
]
PAIRS = [
    (shape, way)
    for number, shape in enumerate(SHAPES)
    for place, way in enumerate(WAYS)
    if scaled(100) >= 100 or (place - number) % 7 in (0, 3)
]


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("place")
    places = {"TAUNODE_TEST_DIARY": "diary", "XDG_STATE_HOME": "state", "TAUNODE_CACHE": "cache", "TMPDIR": "slots"}
    (folder / "slots").mkdir()
    environment = {name: str(folder / place) for name, place in places.items()}
    with Commands(folder / "commands", "quick", torch=True, **environment) as made:
        yield made


@pytest.mark.parametrize(("shape", "way"), PAIRS, ids=lambda value: getattr(value, "name", value))
def test_what_is_the_users_stays_as_it_is(shape: Shape, way: str, commands: Commands, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    shape.make(here)
    before, root = snapshot(here), sorted(os.listdir("/"))
    typed = shape.typed.replace("{here}", str(here))
    ended = commands.type(*WAYS[way](typed), cwd=here, HOME=str(here))
    assert sorted(os.listdir("/")) == root
    if way not in shape.goes_on:
        assert ended.code == 2, str(ended)
        assert ended.err.count("\n") == 1, str(ended)
        assert ended.out == "", str(ended)
        assert snapshot(here) == before
        return
    assert ended.code == 0, str(ended)
    after = snapshot(here)
    for name in shape.kept:
        path = str(here / typed / name)
        assert after[path] == before[path]
    place = (here / typed).resolve()
    runs = [place] if way in OF_A_RUN else sorted((place / "runs").glob("[!.]*/"))
    assert len(runs) >= (1 if way in OF_A_RUN else 2)
    if way != "plan":
        assert all(RunDirectory(run).read_done()["state"] == "done" for run in runs if is_of(ended, run))


def is_of(ended: Ended, run: Path) -> bool:
    """Whether a run is one of the command's; the sweep may have had others."""
    words = RunDirectory(run).read_record().overrides
    return set(words) <= {*ended.words, "seed=0", "seed=1"}
