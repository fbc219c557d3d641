"""The public functions, for notebooks and scripts: compose, build_model, run, load."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from omegaconf import DictConfig, OmegaConf

from taunode import build
from taunode.errors import BadInput
from taunode.paths import expanded, placed, resolved

if TYPE_CHECKING:
    from torch import nn


def compose(overrides: Sequence[str] = (), config_dir: Path | str | None = None) -> DictConfig:
    """The configuration that `taunode` would run with these overrides.

    Args:
        overrides: as on the command line: `["arch=resnet56", "tau=inverse_sqrt", "seed=1"]`.
        config_dir: a directory of your own options.

    Raises:
        BadInput: something in them is not valid; the message lists what is.
    """
    from taunode.command.line import Line

    line = Line.of(overrides, config_dir)
    composer = line.composer()
    with line.explained():
        return composer.compose(composer.typed)


def build_model(cfg: DictConfig) -> "nn.Module":
    """The network that a run of this configuration starts from, on the CPU, initialised from `cfg.seed` alone.

    Maps images (batch, channels, height, width), as the data set's loader gives them, to logits (batch, classes). The
    embedding of an ODE net is the one that was given or pretrained; where no run has pretrained it yet, this does.

    Raises:
        BadInput: it cannot be built.
    """
    from taunode.plan.freeze import Freezer
    from taunode.work.embedding import embed

    frozen, runtime = Freezer(Path.cwd()).freeze(cfg)
    network = build.network(frozen)
    embed(network, frozen, runtime)
    return network


def run(cfg: DictConfig, directory: Path | str) -> dict[str, Any]:
    """Train one run in a directory, or go on with the one that is there; a finished one is only read.

    It is trained in this process, so a debugger works; the command `taunode` gives each run a process of its own.

    Returns:
        The summary: `final_test_error`, `best_test_error` (percent), `epochs`, `steps`, `seconds`, …; with
        `diverged_epoch` where the loss became NaN or infinite.

    Raises:
        BadInput: the configuration is not valid, or the directory holds another one, or somebody else runs it.
        RuntimeError: the training failed; the traceback is in the directory's error file.
    """
    from taunode.command.execution import run_here

    return run_here(cfg, placed(directory, "directory"))


def load(run_dir: Path | str, which: Literal["best", "last"] = "best") -> "tuple[DictConfig, nn.Module]":
    """The configuration and the trained network of a run, in evaluation mode on the CPU.

    Args:
        which: the weights of the best epoch, or of the last one; of a run that has not ended, those of its checkpoint.

    Raises:
        BadInput: not a run directory, or it has no such weights yet.
    """
    from taunode.runs.directory import RunDirectory
    from taunode.runs.weights import load_weights

    run = RunDirectory(resolved(expanded(run_dir, "run_dir")))
    run.read_record()
    if which not in ("best", "last"):
        raise BadInput(f"which must be 'best' or 'last', got {which!r}")
    config = run.read_config()
    model = build.network(config)
    model.load_state_dict(load_weights(run, which))
    return OmegaConf.create(config), model.eval()
