"""A refused command: exit code 2, one clear line that names what was typed, and nothing on the disk has changed."""

import json
import shutil
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest
from cli import TINY, refusal, taunode, tree
from PIL import Image
from safetensors.torch import save_file

from taunode.command.going_on import NAME
from taunode.models.embedding import Embedding
from taunode.runs.record import FORMAT

# What is typed, and what the line must say: the key, the value that was given, the valid ones.
ANYWHERE = [
    ("arch=resnet arch.depth=21", ["arch.depth", "6n+2", "21", "20, 26"]),
    ("arch.depth=2", ["6n+2", "8"]),
    ("arch.depth=abc", ["arch.depth", "a whole number", "'abc'"]),
    ("arch.norm=bach", ["arch.norm", "batch, none", "'bach'"]),
    ("tau=constant tau.scale=-0.5", ["tau.scale", "-0.5"]),
    ("tau=constant tau.scale=nan", ["tau.scale", "nan"]),
    ("tau=power tau.exponent=inf", ["tau.exponent", "inf"]),
    ("tau.blocks=foo", ["tau.blocks", "total, largest_stage"]),
    ("tau=invers_sqrt", ["invers_sqrt", "valid: inverse_sqrt"]),
    ("arch=resnet111", ["resnet111", "valid: resnet110"]),
    ("experiment=digit", ["digit", "valid: digits"]),
    ("dataset=null", ["null", "mnist"]),
    ("hydra/launcher=locale", ["valid: local"]),
    ("schedules=cifar", ["schedules", "nearest: schedule"]),
    ("schedule.epoch=3", ["schedule.epoch", "nearest: schedule.epochs"]),
    ("hydra.launcher.worker=3", ["hydra.launcher.worker", "hydra.launcher.workers"]),
    ("+foo=1", ["foo"]),
    ("+arch.depht=20", ["arch.depht", "valid: depth"]),
    ("~arch", ["arch"]),
    ("~seed", ["seed"]),
    ("schedule.epochs=ten", ["schedule.epochs", "a whole number", "'ten'"]),
    ("schedule.epochs=0", ["schedule.epochs", "0"]),
    ("schedule.lr=-1", ["schedule.lr", "-1"]),
    ("schedule.milestones=[3,x]", ["schedule.milestones[1]", "'x'"]),
    ("schedule.milestones=5", ["schedule.milestones", "a list", "5"]),
    ("seed=-1", ["seed", "-1"]),
    ("seed=1.5", ["seed", "1.5"]),
    ("seed=???", ["seed"]),
    ("precision=fp16", ["precision", "fp32, tf32, bf16", "'fp16'"]),
    ("solver=euler", ["solver must be null"]),
    ("solver=eular", ["'eular' of solver", "valid: euler"]),
    ("schedule=initialisation schedule.epochs=3", ["schedule.epochs", "nearest: schedule"]),
    ("schedule=initialisation arch=rkhs_node", ["schedule=initialisation", "RkhsNode"]),
    ("arch=rkhs_node tau.scale=2", ["tau.scale=2", "RkhsNode takes no tau"]),
    ("arch=rkhs_node tau=inverse_sqrt", ["RkhsNode takes no tau"]),
    ("solver.rtol=1e-3", ["solver.rtol", "CifarResNet takes no solver"]),
    ("arch=shl_resnet18 embedding.passes=3", ["embedding.passes", "ShlResNet takes no embedding"]),
    ("arch=rkhs_node solver.rtol=1e-3", ["solver.rtol", "nearest: solver.method"]),
    ("arch=rkhs_node solver=dopri5 solver.rtol=0", ["solver.rtol", "> 0"]),
    ("arch=rkhs_node solver=dopri5 arch.layers=0", ["arch.layers", "at least 1"]),
    ("arch=rkhs_node embedding.seed=-1", ["embedding.seed", "null", "-1"]),
    ("arch=rkhs_node embedding.weights=nowhere", ["embedding.weights=nowhere", "No such file"]),
    ("arch=rkhs_node embedding.weights=a_file", ["a_file", "not a safetensors file"]),
    ("arch=rkhs_node embedding.weights=pair", ["embedding", "has the shape (5,", "needs (32,"]),
    ("experiment=small/mnist", ["small/mnist", "valid: small/mnist_fig"]),
    ("embedding=foo", ["'foo' of embedding"]),
    ("runtime.threads=0", ["runtime.threads", "0"]),
    ("runtime.device=foo", ["runtime.device", "auto, cpu, cuda", "'foo'"]),
    ("runtime.device=cuda:x", ["runtime.device", "'cuda:x'"]),
    ("runtime.data_root=null", ["runtime.data_root", "text"]),
    ("runtime.lease_seconds=0", ["runtime.lease_seconds", "0"]),
    (r"dataset.name='\\\${seed}'", ["dataset.name", "${"]),
    (r"dataset.name='x\${seed'", ["dataset.name"]),
    ("tau.scale=${nothing}", ["tau.scale", "nothing"]),
    ("--cfg job --resolve tau.scale=${nothing}", ["tau.scale", "nothing"]),
    ("--resolve", ["--resolve", "--cfg"]),
    ("dataset.holdout=100000", ["dataset.holdout", "100000", "1436"]),
    ("dataset.channels=3", ["dataset.channels", "3", "1"]),
    ("dataset=image_folder", ["dataset.train=train", "train.zip"]),
    ("dataset=mnist", ["MNIST", "train-images-idx3-ubyte", "runtime.data_root"]),
    ("arch._target_=os.system", ["arch._target_", "'os.system'", "taunode.models.resnet.CifarResNet"]),
    ("hydra.job.chdir=true", ["hydra.job.chdir"]),
    ("hydra.job.chdir=perhaps", ["hydra.job.chdir", "perhaps"]),
    ("--config-dir nowhere", ["nowhere"]),
    ("--config-name mine", ["--config-name", "--config-dir"]),
    ("--nothing", ["--nothing", "--help"]),
    ("--cfg everything", ["everything", "job"]),
    ("seed", ["seed", "key=value"]),
    ("arch=[a", ["arch=[a"]),
    ("runtime.device=cuda", ["runtime.device=cuda", "0 CUDA devices"]),
]
SINGLE = [
    ("seed=0,1", ["seed=0,1", "-m"]),
    ("arch=resnet20,resnet56", ["-m"]),
    ("hydra.run.dir=", ["hydra.run.dir"]),
    ("hydra.run.dir=a_file", ["a_file", "not a directory"]),
    ("hydra.run.dir=sweep", ["sweep", "a sweep directory"]),
    ("hydra.run.dir=run seed=5", ["holds another configuration", "seed (0 there, 5 here)"]),
    ("hydra.run.dir=newer", ["newer taunode", "999"]),
]
SWEEPS = [
    ("seed=0,x", ["seed", "'x'"]),
    ("arch.depth=20,26,21", ["6n+2", "21"]),  # only the last run is bad
    ("tau=one,invers", ["invers", "valid: inverse"]),
    ("arch=rkhs_node,resnet20 arch.zero_init=false", ["arch.zero_init", "unknown key"]),
    ("dataset=digits,image_folder", ["dataset.train=train"]),
    ("seed=0,1 hydra.launcher.workers=abc", ["hydra.launcher.workers", "'abc'"]),
    ("seed=0,1 hydra.launcher.workers=0", ["hydra.launcher.workers", "0"]),
    ("seed=0,1 hydra.sweeper.where=seed>5", ["where", "all 2 runs"]),
    ("seed=0,1 hydra.sweeper.where=sed>5", ["where", "'sed'", "nearest: seed"]),
    ("seed=0,1 hydra.sweeper.again=maybe", ["hydra.sweeper.again", "'maybe'"]),
    ("seed=range(0,0)", ["no runs"]),
    ("seed=0,1 --adopt --new", ["--adopt", "--new"]),
    ("seed=0,1 hydra.sweep.dir=", ["hydra.sweep.dir"]),
    ("seed=0,1 hydra.sweep.dir=a_file", ["a_file", "not a directory"]),
    ("seed=0,1 hydra.sweep.dir=run", ["run", "a run directory"]),
    ("seed=0,1 hydra.sweep.dir=newer_sweep", ["newer taunode", "999"]),
    ("seed=0,1 hydra/sweeper=basic arch.depth=20,21", ["6n+2", "21"]),
    ("arch.depth=20,21 hydra/launcher=basic", ["6n+2", "21"]),
    ("seed=0,1 hydra/launcher=basic hydra/sweeper=basic tau.scale=-1", ["tau.scale", "-1"]),
]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run and a sweep that have been trained, and copies of them that a newer taunode wrote."""
    here = tmp_path_factory.mktemp("runs")
    taunode(*TINY, "hydra.run.dir=run", cwd=here)
    taunode("-m", *TINY, "seed=0,1", "hydra.sweep.dir=sweep", cwd=here)
    shutil.copytree(here / "run", here / "newer", symlinks=True)
    shutil.copytree(here / "sweep", here / "newer_sweep", symlinks=True)
    for path in (here / "newer" / "run.json", *here.glob("newer_sweep/runs/*/run.json")):
        path.write_text(json.dumps({**json.loads(path.read_text()), "format": 999}))
    (here / "a_file").write_text("mine")
    pair = Embedding(passes=0, seed=0, weights=None).untrained(in_channels=1, channels=5, image_size=8, classes=10)
    save_file(pair.state_dict(), here / "pair")
    return here


@pytest.fixture
def here(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the present directory; no network, and the cache is inside."""
    shutil.copytree(runs, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAUNODE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TAUNODE_DATA", raising=False)

    def unreachable(*args: object, **options: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    return tmp_path


def check_refused(arguments: list[str], words: list[str], here: Path, capfd: pytest.CaptureFixture[str]) -> str:
    before = tree(here)
    line = refusal(arguments, capfd)
    assert tree(here) == before
    assert not [word for word in words if word not in line], line
    return line


@pytest.mark.parametrize(("typed", "words"), [*ANYWHERE, *SINGLE], ids=lambda value: str(value)[:60])
def test_a_refused_run(typed, words, here, capfd):
    if "--cfg" not in typed and "CUDA" in str(words) and _has_cuda():
        pytest.skip("this machine has a GPU")
    check_refused(typed.split(" "), words, here, capfd)


@pytest.mark.parametrize(("typed", "words"), [*ANYWHERE, *SWEEPS], ids=lambda value: str(value)[:60])
def test_a_refused_sweep(typed, words, here, capfd):
    if "CUDA" in str(words) and _has_cuda():
        pytest.skip("this machine has a GPU")
    check_refused(["-m", *typed.split(" ")], words, here, capfd)


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def test_flags_may_follow_overrides(here, capfd):
    check_refused(["seed=0,x", "-m"], ["seed", "'x'"], here, capfd)


FOREIGN = ["arch._target_", "'subprocess.run'", "taunode.models.resnet.CifarResNet"]


def name_other_code(run: Path) -> Path:
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("taunode.models.resnet.CifarResNet", "subprocess.run"))
    (run / "done").unlink()
    return config


def test_a_frozen_configuration_that_names_other_code(here, capfd):
    config = name_other_code(here / "run")
    check_refused([*TINY, "hydra.run.dir=run"], [str(config), *FOREIGN], here, capfd)


def test_of_a_sweep_the_others_are_executed(here):
    config, other = (name_other_code(run) for run in sorted((here / "sweep" / "runs").iterdir()))
    other.write_text((here / "run" / "config.yaml").read_text().replace("seed: 0", "seed: 1"))
    ended = taunode("-m", *TINY, "seed=0,1", "hydra.sweep.dir=sweep", cwd=here, code=1)
    assert "1 planned, 1 done" in ended.stdout
    assert not [word for word in [str(config), *FOREIGN] if word not in ended.stderr]


@pytest.fixture
def images(here: Path) -> Path:
    """Two class folders with two images each, to train and to test."""
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            folder = here / "data" / split / name
            folder.mkdir(parents=True)
            for number in range(2):
                pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return here / "data"


FOLDER = ["dataset=image_folder", "arch=resnet", "arch.depth=8", "schedule.epochs=1"]


@pytest.mark.parametrize("mode", [[], ["-m", "seed=0,1"]])
def test_a_corrupt_image(mode, images, here, capfd):
    (images / "train" / "dog" / "1.png").write_bytes(b"no picture")
    check_refused([*mode, *FOLDER], ["train/dog/1.png", "damaged"], here, capfd)


@pytest.mark.parametrize("mode", [[], ["-m", "seed=0,1"]])
def test_images_of_several_sizes(mode, images, here, capfd):
    Image.new("RGB", (9, 8)).save(images / "train" / "dog" / "1.png")
    check_refused([*mode, *FOLDER], ["train/dog/1.png", "several sizes", "8 × 8", "9 × 8"], here, capfd)


@pytest.mark.parametrize("mode", [[], ["-m", "seed=0,1"]])
def test_a_corrupt_zip(mode, images, here, capfd):
    whole = images / "other.zip"
    with zipfile.ZipFile(whole, "w") as packed:
        packed.write(images / "train" / "cat" / "0.png", "cat/0.png")
    whole.write_bytes(whole.read_bytes()[:-30])
    check_refused([*mode, *FOLDER, "dataset.train=other"], ["other.zip", "not a whole zip"], here, capfd)


@pytest.mark.parametrize("command", ["status", "resume"])
@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nowhere", ["nowhere is not a sweep directory", "does not exist"]),
        ("cache", ["cache is not a sweep directory", "neither runs/ nor run.json"]),
    ],
)
def test_taunode_sweep_refuses_what_is_no_sweep(command, place, words, here, capfd, monkeypatch):
    from taunode.command.sweep import main

    (here / "cache").mkdir()
    before = tree(here)
    monkeypatch.setattr("sys.argv", [NAME, command, place])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1), err
    assert not [word for word in words if word not in err], err
    assert tree(here) == before


@pytest.mark.parametrize(("command", "code"), [("status", 1), ("resume", 1), ("worker", 1)])
def test_what_a_newer_taunode_wrote_is_listed_and_never_executed(command, code, here, capfd, monkeypatch):
    from taunode.command.sweep import main

    before = tree(here)
    monkeypatch.setattr("sys.argv", [NAME, command, "newer_sweep"])
    with pytest.raises(SystemExit) as ended:
        main()
    err = capfd.readouterr().err
    assert ended.value.code == code, err
    assert err.count(f"run.json: was written by a newer taunode (format 999; this one reads {FORMAT})") == 2
    assert tree(here) == before


@pytest.mark.parametrize(("solver", "told"), [("dopri5", True), ("midpoint", False)])
def test_layers_with_an_adaptive_solver_are_no_mistake_and_it_is_said_what_they_are(solver, told, here, capfd):
    from taunode.command.sweep import plan

    plan(["arch=rkhs_node", "arch.layers=5", f"solver={solver}"])
    assert ("arch.layers is the number of intervals between the weights" in capfd.readouterr().err) == told
    plan(["arch=rkhs_node", f"solver={solver}"])
    assert capfd.readouterr().err == ""


def test_the_process_itself_ends_with_2_and_one_line(here):
    refused = taunode("-m", *TINY, "seed=0,x", cwd=here, code=2)
    assert refused.stdout == ""
    assert refused.stderr == "taunode: seed must be a whole number, got 'x'\n"
