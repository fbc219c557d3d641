"""Page: everything a report shows, put into its template."""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from multirun_analysis.cell.at_epoch import chosen_by
from multirun_analysis.cell.cells import cells, default_value, number_of
from multirun_analysis.cell.naming import called, telling_keys
from multirun_analysis.labels.quantity import is_ranked, rises
from multirun_analysis.labels.values import number, title
from multirun_analysis.papers.line import Line, Verdict
from multirun_analysis.papers.verdicts import verify
from multirun_analysis.read.sweep import Sweep
from multirun_analysis.report import configuration, failures, origin, packed, pictures, results, rows
from multirun_analysis.report.facets import Facet, facets
from taunode.runs.state import BROKEN

HERE = Path(__file__).parent
JUDGED = (Verdict.REPRODUCED, Verdict.DIFFERS, Verdict.INCONCLUSIVE, Verdict.TOO_FEW)


def render(sweep: Sweep, value: str | None = None, where: str | None = None) -> bytes:
    """The report on a sweep with at least one run, as a whole HTML file.

    Args:
        value: what its results are about, a column of `sweep.runs`; by default the final test error, or the first
            `final_…` of a sweep that has none.
        where: the condition that chose the runs, to be said.

    Raises:
        BadInput: `value` is not such a column.
    """
    value = value or default_value(sweep.runs)
    table = cells(sweep.runs, value)  # first of all: it judges `value`
    epochs = sweep.epochs  # what cannot be read there joins sweep.broken
    kinds, runs = _in_order(sweep.runs)
    lines = verify(sweep.runs)
    where_from = origin.origin(sweep)
    varying, shared = configuration.varying_and_shared(runs)
    curves = packed.packed(epochs, list(runs["run"]))
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    page = _template().render(
        name=", ".join(path.resolve().name for path in sweep.paths),
        path=sweep.path,
        where=where,
        policy=f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        facts=_facts(runs, table, lines, where_from),
        states=[(state, int((runs["state"] == state).sum())) for state in kinds[-1].values],
        judged=[line for line in lines if line.verdict in JUDGED],
        unjudged=[line for line in lines if line.verdict not in JUDGED],
        value=title(value),
        chosen_by=chosen_by(sweep) if value.startswith("best_") else "",
        ranked=is_ranked(value),
        results=results.results(table),
        facets=kinds,
        columns=rows.columns(runs, kinds),
        runs=list(runs["run"]),
        pictures=pictures.pictures(sweep, value, [line.number for line in lines if line.ours is not None]),
        failures=failures.failures(sweep),
        failed=int(runs["state"].isin([state.value for state in BROKEN]).sum()),
        broken=list(sweep.broken.itertuples(index=False, name=None)),
        varying=varying,
        shared=shared,
        origin=where_from,
        left_out=curves.pop("left_out"),
        data=curves | {"facets": [_for_script(kind) for kind in kinds], "cells": number_of(runs).tolist()},
    )
    return page.encode("utf-8", "replace")  # a file's name need not be UTF-8


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _hash(text: str) -> str:
    """As a Content-Security-Policy names a style or a script inside the page."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _in_order(runs: pd.DataFrame) -> tuple[list[Facet], pd.DataFrame]:
    """The runs in the order of the keys that tell them apart, and those keys."""
    codes = [facet.codes for facet in facets(runs)[:-1]]
    ordered = runs.iloc[np.lexsort(codes[::-1])] if codes else runs
    return facets(ordered), ordered


def _for_script(facet: Facet) -> dict[str, Any]:
    return {
        "key": facet.key,
        "name": facet.name,
        "values": facet.values,
        "codes": facet.codes.tolist(),
        "choosable": facet.choosable,
    }


def _facts(
    runs: pd.DataFrame, table: pd.DataFrame, lines: Sequence[Line], where_from: origin.Origin
) -> list[tuple[str, str, str]]:
    """What is said first: (heading, figure, what it is)."""
    said = [("Runs", str(len(runs)), _of_cells(table))]
    value = str(table["value"].iloc[0])
    if is_ranked(value):
        said += _best(table, value)
    verdicts = Counter(line.verdict for line in lines)
    if judged := verdicts[Verdict.REPRODUCED] + verdicts[Verdict.DIFFERS]:
        good = verdicts[Verdict.REPRODUCED]
        said.append(("Reproduced", f"{good} of {judged}", "published numbers with enough seeds"))
    if "seconds" in runs and runs["seconds"].notna().any():
        machines = len(where_from.machines)
        where = f"on {machines} machine{'s' * (machines != 1)}" if machines else "of training"
        days = " to ".join(dict.fromkeys(time[:10] for time in (where_from.first, where_from.last) if time))
        said.append(("Computing time", _duration(float(runs["seconds"].sum())), ", ".join(filter(None, (where, days)))))
    return said


def _best(table: pd.DataFrame, value: str) -> list[tuple[str, str, str]]:
    means = table["mean"]
    if means.isna().all():
        return []
    best = table.iloc[int(means.argmax() if rises(value) else means.argmin())]
    spread = f" ± {number(best['sd'], value)}" if best["n"] > 1 else ""
    where = called(best.to_dict(), telling_keys(table, table.attrs["keys"])) or "the only cell"
    heading = f"{'Highest' if rises(value) else 'Lowest'} mean {title(value)}"
    return [(heading, number(best["mean"], value) + spread, f"{where}; n = {best['n']}")]


def _of_cells(table: pd.DataFrame) -> str:
    counts = sorted(set(table["runs"]))
    seeds = f"{counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else f"{counts[0]} seed{'s' * (counts[0] != 1)}"
    return f"{len(table)} cell{'s' * (len(table) != 1)} of {seeds}"


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
