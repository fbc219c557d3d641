"""The entry point of `taunode`: answers --help and --version at once, before hydra or torch are imported."""

import importlib
import itertools
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from taunode import interrupt, own_code
from taunode.errors import BadInput

EXAMPLES = """\
Examples
  taunode arch=resnet56 tau=inverse_sqrt dataset=cifar10          one run, in outputs/
  taunode -m experiment=digits_depth_tau                          a grid that is a file; no download, 3 minutes
  taunode -m arch=resnet20,resnet56,resnet110 tau=one,inverse_sqrt seed=0,1,2 dataset=cifar10
  taunode -m arch=resnet arch.depth=20,38,56 tau=power tau.exponent=0.25,0.5 schedule.epochs=20
  taunode -m arch=resnet110_nobn tau=constant tau.scale=0.136,1 hydra.launcher.workers=4
  taunode -m experiment=digits_depth_tau seed=0,1,2,3             the same grid, larger: runs only what is new
  taunode-sweep plan --dry-run experiment=digits_depth_tau        what would be run: τ, L, parameters, hours
  taunode-sweep plan --pilot --max-hours 8 experiment=NAME        refuse what takes longer, by a pilot
  taunode --cfg job arch=resnet20 tau=inverse_sqrt                the whole configuration
"""


def options(directory: Path) -> dict[str, str]:
    """The options of a group, and of the groups inside it: name → what the first line of its file says."""
    found = {}
    for file in sorted(directory.rglob("*.yaml"), key=lambda file: (len(file.parts), len(file.stem), file.stem)):
        lines = file.read_text(encoding="utf-8").splitlines()
        comments = (line.lstrip("# ") for line in lines if line.startswith("#") and not line.startswith("# @"))
        found[file.relative_to(directory).with_suffix("").as_posix()] = next(comments, "")
    return found


def help_text(folders: Sequence[Path] = ()) -> str:
    """What the command does, its groups with their options, and examples; read from conf/, without Hydra.

    Args:
        folders: with options of the user's own.
    """
    conf = Path(importlib.import_module("taunode.conf").__path__[0])
    groups = [
        "arch",
        "tau",
        "init",
        "embedding",
        "solver",
        "dataset",
        "schedule",
        "optimizer",
        "parametrization",
        "experiment",
        "runtime",
        "hydra/launcher",
        "hydra/sweeper",
    ]
    lines = [
        "taunode trains residual networks of any depth and residual factor τ: one run, or with -m a sweep",
        "that no crash, preemption or closed terminal can lose. The same command goes on where it stopped.",
        "",
        "Usage: taunode [-m] [GROUP=OPTION | KEY=VALUE | KEY=A,B,C]...",
        "",
        "Groups and options",
    ]
    chosen = dict(re.findall(r"^  - (?:override )?([\w/]+): (\w+)", (conf / "config.yaml").read_text(), re.MULTILINE))
    for group in groups:
        lines.append(f"  {group}" + (f" (default: {chosen[group]})" if chosen[group] != "null" else ""))
        found = {name: what for folder in (conf, *folders) for name, what in options(folder / group).items()}
        width = max((len(name) for name in found), default=0)
        lines += [f"    {name:{width}}  {what}".rstrip() for name, what in found.items()]
    lines += [
        "  Keys of every group: taunode --cfg job. Beside the groups: seed, precision (fp32, tf32, bf16, fp64),",
        "  hydra.run.dir (of one run), hydra.sweep.dir (of a sweep).",
        "",
        EXAMPLES,
        "Flags",
        "  -m, --multirun       every combination of the lists, in hydra.sweep.dir/runs/",
        "  --again              do finished runs again, from the beginning",
        "  --adopt, --new       the configuration changed since this command ran: keep the old runs, or plan new ones",
        "  --yes                also more than 100,000 runs",
        "  --cfg job|hydra|all  show the configuration instead of running",
        "  --config-dir DIR     your own options beside the shipped ones: DIR/schedule/mine.yaml → schedule=mine",
        "  --hydra-help         Hydra's own flags",
        '  tab completion       eval "$(taunode -sc install=bash)"   (or zsh, fish)',
        "",
        "Exit codes: 0 done or diverged, 1 a run failed, 2 bad input (nothing was written), 3 the rest is with another",
        "command or with Slurm, 130 Ctrl-C.",
        "See also: taunode-sweep --help, multirun-analysis --help.",
    ]
    return "\n".join(lines)


def own_folders(arguments: Sequence[str]) -> list[Path]:
    """What `--config-dir` names."""
    found = [after for flag, after in itertools.pairwise(arguments) if flag in ("--config-dir", "-cd")]
    return [
        Path(one) for one in found + [one.partition("=")[2] for one in arguments if one.startswith("--config-dir=")]
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """The console command; ends the process with its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if any(argument in ("-h", "--help") for argument in arguments):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `taunode --help | head`
        try:
            print(help_text([*own_folders(arguments), *own_code.lasting()]))
        except BadInput as error:  # an entry point that names no package
            print(f"taunode: {error}", file=sys.stderr)
            sys.exit(2)
        sys.exit(0)
    if "--version" in arguments:
        from importlib.metadata import version

        print(f"taunode {version('taunode')}")
        sys.exit(0)
    try:
        interrupt.listen()
        from taunode.command.taunode import main as run

        interrupt.check()
        sys.exit(run(arguments))
    except KeyboardInterrupt:  # while Hydra was imported
        sys.exit(130)
    except Exception:  # whatever a library made of Ctrl-C: before 3.12 Python itself wraps what interrupts a class
        if interrupt.heard():
            sys.exit(130)
        raise


if __name__ == "__main__":
    main()
