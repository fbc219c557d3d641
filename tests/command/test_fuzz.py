"""Random command lines: each is accepted, or refused in one line with exit code 2, and then nothing has been written.

`TAUNODE_FUZZ` says how many (2,000 by default); each goes one of four ways: `taunode`, `taunode-sweep plan`,
`taunode-sweep resume`, `taunode.compose`.
"""

import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli import TINY, plan, tree

import taunode
from taunode.command import execution, local, plugins
from taunode.command import sweep as sweep_command
from taunode.command import taunode as taunode_command
from taunode.errors import BadInput
from taunode.plan.write import write
from taunode.train import main

COUNT = int(os.environ.get("TAUNODE_FUZZ", "2000"))
SHARES = 8  # tests, so that several processes can share them

GROUPS = {
    "arch": ["resnet20", "resnet", "resnet110_nobn", "rkhs_node", "shl_resnet18", "resnet50", "resn", "../arch/resnet"],
    "tau": ["one", "inverse_sqrt", "power", "constant", "inverse_sqr", "null"],
    "dataset": ["digits", "synthetic", "mnist", "image_folder", "digit"],
    "schedule": ["cifar", "mnist_flow", "initialisation", "cifr"],
    "solver": ["euler", "dopri5", "null", "rk5"],
    "embedding": ["default", "null"],
    "experiment": ["digits_depth_tau", "small/mnist_fig1a", "forward_stability", "null", "small"],
    "runtime": ["default", "null", "fast"],
    "hydra/launcher": ["local", "basic", "slurm", "submitit_slurm", "null"],
    "hydra/sweeper": ["taunode", "basic", "optuna", "null"],
}
KEYS = [
    *("arch.depth", "arch.norm", "arch.layers", "arch.channels", "arch.checkpoint_segments", "arch._target_"),
    *("tau.scale", "tau.exponent", "tau.learn", "tau.blocks", "tau._target_", "solver.rtol", "solver.method"),
    *("dataset.train_images", "dataset.holdout", "dataset.train", "dataset.mean", "dataset.classes", "dataset"),
    *("schedule.lr", "schedule.epochs", "schedule.milestones", "schedule.factor", "schedule.batch_size"),
    *("schedule.warmup_epochs", "schedule.epoch", "embedding.weights", "embedding.passes", "embedding.seed"),
    *("seed", "precision", "foo", "tau.learn.x", "a.b.c.d", "", "3", "arch", "tau", "runtime", "hydra"),
    *("runtime.device", "runtime.threads", "runtime.data_root", "runtime.lease_seconds", "runtime.compile"),
    *("hydra.sweep.dir", "hydra.run.dir", "hydra.sweep.subdir", "hydra.job.chdir", "hydra.job.name", "hydra.mode"),
    *("hydra.sweeper.where", "hydra.sweeper.zip", "hydra.sweeper.params", "hydra.sweeper", "hydra.sweeper.again"),
    *("hydra.launcher", "hydra.launcher.workers", "hydra.launcher._target_", "hydra.launcher.time"),
    *("hydra.launcher.memory", "hydra.launcher.resources", "hydra.overrides.task", "hydra.searchpath"),
    *("hydra.callbacks", "hydra.output_subdir", "hydra.verbose", "hydra.job.env_set", "hydra.runtime.cwd"),
]
VALUES = [
    *("0", "1", "-1", "3", "20", "0.5", "1e-3", "1e400", "-0.0", "nan", "inf", "true", "no", "null", "???", "auto"),
    *("", " ", "'", '"', "''", "'a b'", "a b", "a,b", "1,2", "0,1,x", ",", "[1", "[]", "[1,2]", "[[1]]", "[[a],b]"),
    *("{}", "{", "{a: 1}", "{a: {b: [1]}}", "[{when: 'seed > 1', time: 5}]", "${seed}", "${nope}", "${oc.env:NOPE}"),
    *("${tau.scale}", "$", "\\", "~", "..", ".", "/", "x" * 300, "a\nb", "ä", "\u200b", "é,ü", "0x10", "010", "1_000"),
    *("range(0,3)", "range(0,1,0)", "range(3)", "range(0,1e9)", "range(0,1,1e-320)", "range(5,1)", "interval(0,1)"),
    *("glob(*)", "glob(res*,exclude=*nobn)", "choice(1,2)", "choice()", "sort(3,1,2)", "shuffle(1,2)", "int(1.5)"),
    *("str([1])", "tag(a,choice(1,2))", "float(x)", "extend_list(1)", "99999999999999999999", "-99999999999999999999"),
    *("12:00:00", "4G", "batch", "none", "total", "cpu", "cuda:9", "fp32", "euler", "digits", "seed", "seed >= 1"),
    *("subprocess.run", "taunode.models.tau.PowerLaw", "[arch.depth,seed]", "[[seed],[seed]]", "RUN", "MULTIRUN"),
]
FLAGS = ["-m", "-m", "-m", "--again", "--adopt", "--new", "--yes", "--cfg", "job", "all", "hydra", "--resolve"]
FLAGS += ["--package", "--config-dir", "nowhere", "-x", "--multirun", "--cfg=job", "--info", "config", "-p", "--run"]


def override(chance: random.Random) -> str:
    """One override: most are nearly right, some are noise."""
    kind = chance.random()
    if kind < 0.35:
        group = chance.choice(list(GROUPS))
        options = chance.sample(GROUPS[group], chance.choice([1, 1, 1, 2]))
        return f"{chance.choice(['', '', '', '+', '++', '~'])}{group}={','.join(options)}"
    if kind < 0.95:
        prefix, equals = chance.choice(["", "", "", "", "+", "++", "~"]), chance.choice(["=", "=", "=", "=", ""])
        return f"{prefix}{chance.choice(KEYS)}{equals}{chance.choice(VALUES) if equals else ''}"
    return "".join(chance.choice("abc.=,[]{}()'\"\\$~+-/: \n0123é") for _ in range(chance.randint(1, 12)))


def arguments(chance: random.Random) -> list[str]:
    made = [override(chance) for _ in range(chance.randint(1, 4))]
    base = [*TINY] if chance.random() < 0.5 else []
    return [*base, *made]


class Accepted(BaseException):
    """A command line was accepted: nothing of it is executed here."""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planned sweep to go on with."""
    here = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        write(plan("seed=0,1"))
    return here


@pytest.fixture
def here(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def accept(*arguments: object, **options: object) -> None:
        raise Accepted

    for module in (execution, plugins, taunode_command):
        monkeypatch.setattr(module, "prepare", accept)
    monkeypatch.setattr(local, "run_locally", accept)
    monkeypatch.chdir(sweep)
    monkeypatch.setenv("TAUNODE_CACHE", str(sweep / "cache"))
    return sweep


def typed(command: str, *words: str) -> Callable[[], None]:
    def call() -> None:
        sys.argv = [command, *words]
        sweep_command.main() if command == "taunode-sweep" else main(list(words))

    return call


def compose(words: list[str]) -> None:
    taunode.compose(words)
    raise Accepted


@pytest.mark.parametrize("share", range(SHARES))
def test_a_command_line_is_accepted_or_refused_in_one_line(share, here, capfd, monkeypatch):
    monkeypatch.setattr("sys.argv", sys.argv)
    chance = random.Random(share)
    before = tree(here)
    counts = {"accepted": 0, "refused": 0, "shown": 0}
    for number in range(COUNT // SHARES):
        words = arguments(chance)
        flags = chance.sample(FLAGS, chance.choice([0, 0, 0, 1, 1, 2]))
        ways = [
            ("taunode", typed("taunode", *flags, *words)),
            ("taunode -m", typed("taunode", "-m", *words)),
            ("plan", typed("taunode-sweep", "plan", *words)),
            ("resume", typed("taunode-sweep", "resume", "sweep", *words[-2:])),
            ("compose", lambda words=words: compose(words)),
        ]
        way, call = ways[number % len(ways)]
        outcome = ended(call)
        out, err = capfd.readouterr()
        told = f"{way}: {flags} {words}\n{outcome!r}\n{out}\n{err}"
        if isinstance(outcome, Accepted):
            counts["accepted"] += 1
            shutil.rmtree(here / "sweeps", ignore_errors=True)  # Hydra's basic sweeper writes before its first job
        elif outcome == 0 and way == "taunode":
            assert {"--cfg", "--cfg=job", "--info"} & set(flags), told
            counts["shown"] += 1
        else:
            counts["refused"] += 1
            assert outcome == 2, told
            assert "Traceback" not in err, told
            if way != "compose":
                assert out == "" or "-p" in flags or "--package" in flags, told
                assert err.count("\n") == 1, told
    assert tree(here) == before
    print(counts)
    assert min(counts["accepted"], counts["refused"]) > 0


def ended(call: Callable[[], None]) -> object:
    """How a command ended: its exit code, `Accepted`; a refusal of a function counts as 2. Whatever else is raised
    is what this test looks for."""
    try:
        call()
    except Accepted as accepted:
        return accepted
    except SystemExit as ended:
        return ended.code
    except BadInput as refused:
        return 2 if "\n" not in str(refused) else str(refused)
    return 0
