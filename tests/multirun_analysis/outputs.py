"""Tables and figures of sweeps, as digests: python outputs.py FOLDER writes them, a line a file, to stdout."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import multirun_analysis as ma
from multirun_analysis.figures.registry import FIGURES
from multirun_analysis.report.reproduction import Record
from taunode.errors import BadInput


def outputs(path: Path, drawn: set[str]) -> Iterator[tuple[str, bytes]]:
    """Every table of one sweep, its record, and every figure that it fills and that is not drawn yet."""
    sweep = ma.load(path)
    for format in ("csv", "markdown", "latex", "parquet", "html"):
        yield f"table.{format}", ma.table(sweep).content(format)
    for name in FIGURES.keys() - drawn:
        try:
            picture = ma.figure(sweep, name)
        except BadInput:
            continue
        drawn.add(name)
        for suffix in ("png", "pdf", "csv"):  # a page has the svg
            yield f"{name}.{suffix}", picture.content(suffix)
    yield "reproduction.md", Record(sweep).to_markdown("multirun-analysis reproduction").encode()


if __name__ == "__main__":
    drawn: set[str] = set()
    for sweep in sorted(Path(sys.argv[1]).iterdir()):
        for name, content in outputs(sweep, drawn):
            print(sweep.name, name, hashlib.sha256(content).hexdigest())
