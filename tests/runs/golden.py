"""The golden file of signatures, a line a run: its signature, and the overrides that say what it is.

    python tests/runs/golden.py 'optimizer=adamw seed=1' …    adds lines
    python tests/runs/golden.py --again                       signs all lines anew

A line that changes makes every such run on anybody's disk unknown: that is a decision, which CHANGELOG.md gives the
reason of. A key that came later changes none (`taunode.absent`). Commit 7ea428e wrote the lines up to the empty one.
"""

import sys
import tempfile
from pathlib import Path

from hydra.types import RunMode

from taunode.plan.compose import Composer
from taunode.plan.freeze import Freezer
from taunode.runs.signature import signature

FILE = Path(__file__).with_name("signatures.txt")


def read() -> dict[str, str]:
    """The signature of each line's overrides."""
    lines = (line.partition(" ") for line in FILE.read_text(encoding="utf-8").splitlines() if line)
    return {overrides: signed for signed, _, overrides in lines}


def photographs(directory: Path) -> None:
    """What stands for ImageNet and image folders: two classes of one image, of which names and sizes count."""
    for split in ("train", "validation"):
        for name in ("cat", "dog"):
            file = directory / "data" / "photographs" / split / name / "1.ppm"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"P6 8 8 255\n" + bytes(8 * 8 * 3))


def frozen(lines: list[str], directory: Path) -> dict[str, dict[str, object]]:
    """The frozen configuration of each line; `directory` is where data are, and the process is."""
    photographs(directory)
    composer, freezer = Composer.for_command([], None, RunMode.RUN), Freezer(directory)
    return {line: freezer.freeze(composer.compose(line.split()))[0] for line in lines}


def main(arguments: list[str]) -> None:
    import os

    known = read()
    added = [] if arguments == ["--again"] else [line for line in arguments if line not in known]
    with tempfile.TemporaryDirectory() as here:
        os.chdir(here)
        configs = frozen([*(known if arguments == ["--again"] else []), *added], Path(here))
    signed = known | {line: signature(config) for line, config in configs.items()}
    text = FILE.read_text(encoding="utf-8").splitlines()
    kept = [f"{signed[line.partition(' ')[2]]} {line.partition(' ')[2]}" if line else "" for line in text]
    FILE.write_text("\n".join([*kept, *(f"{signed[line]} {line}" for line in added)]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
