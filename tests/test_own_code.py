"""Code of the user's own: built from a folder that is named or a package that is installed, and from nowhere else."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cli import environment, refusal, start
from cli import taunode as taunode_command
from harness import RESULTS, wait_until

import taunode
from taunode import build, own_code
from taunode.command import sweep as sweep_command
from taunode.errors import BadInput
from taunode.plan.write import write
from taunode.runs.directory import SweepDirectory
from taunode.runs.files import Unreadable
from taunode.runs.provenance import digest
from taunode.train import main

NETWORK = """
from typing import Any

from torch import Tensor, nn

from taunode.models.network import Network


class Linear(Network):
    def __init__(self, width: int, in_channels: int, image_size: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(in_channels * image_size**2, width), nn.Linear(width, classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images.flatten(1))

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr_factor": 1.0}]

    def learned_tau(self) -> float | None:
        return None


class NoNetwork:
    pass


class Many(Linear):
    def __init__(self, in_channels: int, image_size: int, classes: int) -> None:
        super().__init__(4, in_channels, image_size, classes + 1)


class Wide(Linear):
    def __init__(self, in_channels: int, image_size: int, classes: int) -> None:
        super().__init__(4, in_channels, 2 * image_size, classes)


class Deciding(Linear):
    def __init__(self, in_channels: int, image_size: int, classes: int) -> None:
        super().__init__(4, in_channels, image_size, classes)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images if images.mean() > 0 else -images)


class Broken(Linear):
    def __init__(self, in_channels: int, image_size: int, classes: int) -> None:
        raise ValueError("a mistake of its author's")


class Unsure(Deciding):
    def __init__(self, in_channels: int, image_size: int, classes: int) -> None:
        super().__init__(in_channels, image_size, classes + 1)
"""
NO_TAU = "defaults:\n  - override /tau@_global_.tau: null\n"
TINY = ["dataset=synthetic", "dataset.train_images=64", "dataset.test_images=16", "schedule.epochs=1"]
TINY += ["schedule.batch_size=16", "runtime.device=cpu", "runtime.threads=1"]


def folder(path: Path, module: str, code: str = NETWORK, name: str = "Linear") -> Path:
    """A folder with a module and an option `arch=own` that names a class of it."""
    (path / "arch").mkdir(parents=True)
    width = "width: 4\n" if name == "Linear" else ""
    (path / "arch" / "own.yaml").write_text(f"{NO_TAU}_target_: {module}.{name}\n{width}")
    (path / f"{module}.py").write_text(code)
    return path


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv(own_code.VARIABLE, "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    own_code.packages.cache_clear()
    yield
    own_code.packages.cache_clear()


def test_a_network_of_a_folder_is_trained_and_loaded(tmp_path):
    own = folder(tmp_path / "mine", "trained_one")
    config = taunode.compose(["arch=own", *TINY], config_dir=own)
    assert taunode.build_model(config).layers[0].out_features == 4
    summary = taunode.run(config, tmp_path / "run")
    assert "final_test_error" in summary
    os.environ[own_code.VARIABLE] = ""
    with pytest.raises(BadInput, match=r"'trained_one.Linear' is not allowed; .* add --config-dir DIR"):
        taunode.load(tmp_path / "run")
    config, network = taunode.load(tmp_path / "run", config_dir=own)
    assert config.arch.width == network.layers[0].out_features == 4


@pytest.mark.parametrize(
    ("module", "code", "name", "words"),
    [
        ("fails", "import math\n\nmath.sqrt(-1)\n", "Linear", "ValueError: math domain error (HERE/fails.py, line 3)"),
        ("no_python", "class Linear(:\n", "Linear", "SyntaxError: invalid syntax (HERE/no_python.py, line 1)"),
        ("leaves", "raise SystemExit(0)\n", "Linear", "leaves.Linear cannot be imported: SystemExit: 0"),
        ("needs", "import there_is_no_such_module\n", "Linear", "No module named 'there_is_no_such_module'"),
        ("lacks", NETWORK, "Lineal", "has no class Lineal; it has: Linear, Wide, Broken, Deciding, Many, NoNetwork"),
        ("other", NETWORK, "NoNetwork", "other.NoNetwork is no subclass of taunode.models.network.Network"),
        ("function", "def Linear():\n    return 1\n", "Linear", "is no subclass of taunode.models.network.Network"),
        ("broken", NETWORK, "Broken", "ValueError: a mistake of its author's (HERE/broken.py, line 48)"),
        ("many", NETWORK, "Many", "arch: many.Many gives (2, 11) for 2 images, not logits (2, 10)"),
        ("wide", NETWORK, "Wide", "arch: wide.Wide, given images of the data set's shape: RuntimeError: "),
        ("unsure", NETWORK, "Unsure", "arch: unsure.Unsure gives (2, 11) for 2 images, not logits (2, 10)"),
        ("json", NETWORK, "Linear", "not a module of HERE; call that one otherwise"),
    ],
)
def test_what_is_wrong_with_it_is_one_line_that_says_where(module, code, name, words, tmp_path, capfd):
    own = folder(tmp_path / "mine", module, code, name)
    before = sorted(tmp_path.rglob("*"))
    said = refusal(["--config-dir", str(own), "arch=own", *TINY], capfd)
    assert words.replace("HERE", str(own)) in said
    assert [path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in path.parts] == before


def test_what_asks_for_the_values_of_images_is_not_tried_without(tmp_path):
    own = folder(tmp_path / "mine", "deciding", NETWORK, "Deciding")
    taunode_command("--config-dir", str(own), "arch=own", *TINY, "hydra.run.dir=run", cwd=tmp_path)
    assert (tmp_path / "run" / "done").exists()


def test_what_needs_residual_blocks_is_refused_where_it_has_no_chain(tmp_path, capfd):
    own = folder(tmp_path / "mine", "unchained")
    said = refusal(["--config-dir", str(own), "arch=own", "dataset=digits", "schedule=initialisation"], capfd)
    assert "schedule=initialisation measures networks of residual blocks (arch=resnet…), Linear is none" in said


@pytest.mark.parametrize("words", [["--config-dir", "mine"], ["--config-dir=mine"], []])
def test_the_help_has_its_options(words, tmp_path):
    folder(tmp_path / "mine", "helped")
    (tmp_path / "mine" / "arch" / "own.yaml").write_text("# Two linear maps\n_target_: helped.Linear\n")
    script = "from taunode.train import main; main()"
    variable = {} if words else {own_code.VARIABLE: str(tmp_path / "mine")}
    done = subprocess.run(
        [sys.executable, "-c", script, *words, "--help"],
        cwd=tmp_path,
        env=environment(**variable),
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"^    own +Two linear maps$", done.stdout, re.MULTILINE)


def test_what_lies_beside_the_options_adds_no_name(tmp_path):
    own = folder(tmp_path / "mine", "beside")
    (own / "sweeps" / "x").mkdir(parents=True)
    (own / "sweeps" / "x" / "config.yaml").write_text("arch:\n  _target_: os.system\n")
    own_code.use(own)
    assert own_code.targets() == {"beside.Linear"}
    with pytest.raises(BadInput, match=r"'os\.system' is not allowed"):
        build.check_targets({"arch": {"_target_": "os.system"}})


def test_a_run_that_names_code_is_executed_with_the_folder_alone(tmp_path, capsys):
    own = folder(tmp_path / "mine", "planned_one")
    code = ended(main, ["--config-dir", "mine", "-m", "arch=own", "seed=0,1", "hydra.sweep.dir=s", *TINY])
    assert code == 0
    ended(sweep_command.main, ["taunode-sweep", "plan", "--config-dir", "mine", "arch=own", "seed=0,1,2", *TINY])
    sweep = next(path for path in tmp_path.iterdir() if path.name == "sweeps")
    (named,) = sweep.iterdir()
    os.environ[own_code.VARIABLE] = ""
    capsys.readouterr()
    for command in ("worker", "resume"):
        assert ended(sweep_command.main, ["taunode-sweep", command, str(named)]) == 2
        said = capsys.readouterr().err
        assert "add --config-dir DIR" in said
        assert str(own) not in said  # it may be a path that somebody else has prepared
        assert said.count("\n") == 1
    for run in SweepDirectory(named):
        assert run.attempts() == 0
    assert ended(sweep_command.main, ["taunode-sweep", "resume", str(named), "--config-dir", "mine"]) == 0


def test_killed_and_continued_it_gives_the_same_bytes(tmp_path):
    folder(tmp_path / "mine", "killed_one")
    words = ("--config-dir", "mine", "arch=own", *TINY, "schedule.epochs=30", "runtime.checkpoint_seconds=0.01")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    taunode_command(*words, "hydra.run.dir=whole", cwd=tmp_path)
    process = start(*words, "hydra.run.dir=killed", cwd=tmp_path)
    wait_until(lambda: list(killed.glob("checkpoint.*.pt")) or process.poll() is not None)
    process.kill()
    process.communicate()
    assert not (killed / "done").exists()
    taunode_command(*words, "hydra.run.dir=killed", cwd=tmp_path)
    assert len(list(killed.glob("claim.*"))) == 2
    for name in RESULTS:
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


def ended(call, words: list[str]) -> int:
    arguments = (words,) if call is main else ()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words if call is not main else ["taunode", *words])
        with pytest.raises(SystemExit) as end:
            call(*arguments)
    return end.value.code or 0


def test_provenance_has_its_digest_and_a_copy(tmp_path):
    own = folder(tmp_path / "mine", "kept_one")
    (own / "more").mkdir()
    (own / "more" / "__init__.py").write_text("x = 1\n")
    without = digest()
    own_code.use(own)
    assert digest() != without
    write(planned(own))
    commands = tmp_path / "s" / "commands"
    (about,) = [yaml.safe_load(path.read_text()) for path in commands.glob("*.yaml")]
    assert about["code"]["own"]["folders"] == [str(own)]
    with zipfile.ZipFile(commands / about["code"]["own"]["files"]) as kept:
        names = {"0-mine/kept_one.py", "0-mine/arch/own.yaml", "0-mine/more/__init__.py"}
        assert set(kept.namelist()) == names
        assert kept.read("0-mine/kept_one.py") == NETWORK.encode()
    assert own_code.archive() == own_code.archive()
    (own / "data.py").write_text("#" * 2 * own_code.SMALL)
    assert own_code.archive() == b""  # a digest alone stands for what is not small


def planned(own: Path):
    from taunode.command.line import Line
    from taunode.plan.command_line import plan_multirun

    composer = Line.of(["arch=own", "seed=0,1", "hydra.sweep.dir=s", *TINY], own, multirun=True).composer()
    return plan_multirun(composer, composer.typed)


def test_an_installed_package_needs_no_flag(tmp_path, monkeypatch):
    site = tmp_path / "site"
    package = folder(site / "my_package_of_nets" / "conf", "unused").parent
    (package / "conf" / "arch" / "own.yaml").write_text(f"{NO_TAU}_target_: my_package_of_nets.nets.Linear\nwidth: 3\n")
    (package / "nets.py").write_text(NETWORK)
    (package / "__init__.py").write_text("raise AssertionError('imported without need')\n")
    about = site / "my_package_of_nets-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package-of-nets\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text("[taunode]\nnets = my_package_of_nets\n")
    monkeypatch.syspath_prepend(site)
    own_code.packages.cache_clear()
    assert "my_package_of_nets.nets.Linear" in own_code.targets("arch")
    config = taunode.compose(["arch=own", *TINY])
    (package / "__init__.py").write_text("")
    assert taunode.build_model(config).layers[0].out_features == 3
    assert own_code.versions() == {"my_package_of_nets": "1.2"}
    (about / "entry_points.txt").write_text("[taunode]\nnets = there_is.none\n")
    own_code.packages.cache_clear()
    with pytest.raises(BadInput, match=r"entry point taunode:nets: 'there_is.none' is not the name of an installed"):
        own_code.packages()


def test_a_module_of_the_working_directory_is_not_executed_in_its_place(tmp_path, monkeypatch):
    own = folder(tmp_path / "mine", "twice_there")
    (tmp_path / "twice_there.py").write_text(f"open({str(tmp_path / 'hit')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    own_code.use(own)
    with pytest.raises(BadInput, match=r"not a module of .*mine; call that one otherwise"):
        own_code.load("twice_there.Linear", "arch")
    assert not (tmp_path / "hit").exists()


def test_of_two_folders_with_one_module_none_is_chosen(tmp_path):
    for name in ("one", "two"):
        own_code.use(folder(tmp_path / name, "in_both"))
    with pytest.raises(BadInput, match=r"two and .*one both have a module in_both"):
        own_code.load("in_both.Linear", "arch")


@pytest.mark.parametrize("typed", ["mine", "./mine/../mine", "link"])
def test_the_variable_may_be_relative_or_a_link(typed, tmp_path, monkeypatch):
    module = f"from_variable_{''.join(filter(str.isalpha, typed))}"
    folder(tmp_path / "mine", module)
    (tmp_path / "link").symlink_to("mine")
    monkeypatch.setenv(own_code.VARIABLE, typed)
    assert own_code.folders() == [tmp_path / "mine"]
    assert own_code.load(f"{module}.Linear", "arch").__name__ == "Linear"


def test_a_digest_follows_what_is_edited_and_minds_no_editors_lock(tmp_path):
    own = folder(tmp_path / "mine", "edited_one")
    (own / ".#edited_one.py").symlink_to("somebody@elsewhere:1")
    (own / "arch" / ".#own.yaml").symlink_to("somebody@elsewhere:1")
    own_code.use(own)
    before = digest()
    assert own_code.targets() == {"edited_one.Linear"}
    assert before == digest()
    with (own / "edited_one.py").open("a") as file:
        file.write("# another\n")
    assert digest() != before
    assert own_code.archive()


def test_a_package_without_options_is_kept_too(tmp_path, monkeypatch):
    package = tmp_path / "site" / "of_code_alone"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    about = tmp_path / "site" / "of_code_alone-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: of-code-alone\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[taunode]\nnets = of_code_alone\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    own_code.packages.cache_clear()
    write(planned(folder(tmp_path / "mine", "beside_it")))
    (about_command,) = (tmp_path / "s" / "commands").glob("*.yaml")
    own = yaml.safe_load(about_command.read_text())["code"]["own"]
    assert own["packages"] == {"of_code_alone": "1"}
    assert (tmp_path / "s" / "commands" / own["files"]).exists()


def test_a_broken_folder_is_no_folder(tmp_path, capfd):
    assert "no such directory" in refusal(["--config-dir", "nowhere", "seed=1"], capfd)
    with pytest.raises(BadInput, match="':' stands between folders"):
        own_code.use(tmp_path / "a:b")


def test_a_worker_of_a_pool_and_a_task_in_slurm_are_told(tmp_path):
    from taunode.cluster.submit import Array, _command

    own = folder(tmp_path / "mi ne", "told_one")
    own_code.use(own)
    assert _command(tmp_path / "x.json", Array(0, 1)).endswith(f"x.json 0 --config-dir '{own}'")
    assert os.environ[own_code.VARIABLE] == str(own)  # which every process inherits that is started here


def test_an_unreadable_configuration_stays_one(tmp_path):
    own = folder(tmp_path / "mine", "some_one")
    own_code.use(own)
    write(planned(own))
    os.environ[own_code.VARIABLE] = ""
    from taunode.runs.config import read_buildable

    run = next(iter(SweepDirectory(tmp_path / "s")))
    with pytest.raises(Unreadable, match=r"some_one\.Linear"):
        read_buildable(run.config)
