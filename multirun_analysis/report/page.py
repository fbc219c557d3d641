"""Page: everything a report shows, put into its templates.

A page is its fragments (the sections that are made here, as HTML) and its data (what the script draws curves, the table
of runs and their pages from). A file holds both; a live page gets those that changed.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
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
from multirun_analysis.papers.ours import belonging
from multirun_analysis.papers.published import Role
from multirun_analysis.papers.verdicts import verify
from multirun_analysis.read.sweep import Sweep
from multirun_analysis.report import configuration, detail, failures, origin, packed, pictures, results, rows
from multirun_analysis.report.facets import Facet, choices, facets
from multirun_analysis.report.svg import style_sheet
from multirun_analysis.report.typography import typeset
from taunode.runs.state import BROKEN

HERE = Path(__file__).parent
JUDGED = (Verdict.REPRODUCED, Verdict.DIFFERS, Verdict.INCONCLUSIVE, Verdict.TOO_FEW)
NOTES = 20  # that are said first; those of runs are in their table as well
SECTIONS = ("summary", "results", "failures", "configuration", "provenance")
SCRIPTS = ("core.js", "table.js", "chart.js", "run.js", "live.js", "start.js")


def render(sweep: Sweep, value: str | None = None, where: str | None = None) -> bytes:
    """The report on a sweep with at least one run, as a whole HTML file.

    Args:
        value: what its results are about, a column of `sweep.runs`; by default the final test error, or the first
            `final_…` of a sweep that has none.
        where: the condition that chose the runs, to be said.

    Raises:
        BadInput: `value` is not such a column.
    """
    page = Page(sweep, value, where)
    runs = list(page.runs["run"])
    return page.html({**page.fragments, "figures": page.figures}, page.data | {"details": detail.details(sweep, runs)})


@dataclass
class Page:
    """The report on a sweep; what takes long is made when it is asked for.

    Raises:
        BadInput: `value` is no column of the sweep.
    """

    sweep: Sweep
    value: str | None = None
    where: str | None = None

    def __post_init__(self) -> None:
        self.value = self.value or default_value(self.sweep.runs)
        self.cells = cells(self.sweep.runs, self.value)  # first of all: it judges `value`
        self.facets, self.runs = _in_order(self.sweep.runs)

    @cached_property
    def lines(self) -> list[Line]:
        """Of the published numbers."""
        return verify(self.sweep.runs)

    @cached_property
    def fragments(self) -> dict[str, str]:
        """The sections by their names, all but the figures."""
        assert self.value is not None
        self.sweep.read_epochs()  # first of all: what cannot be read there joins `broken`
        where_from = origin.origin(self.sweep)
        varying, shared = configuration.varying_and_shared(self.runs)
        found: dict[str, dict[str, Any]] = {
            "summary": {
                "facts": _facts(self.runs, self.cells, self.lines, where_from),
                "notes": self.sweep.notes[:NOTES],
                "states": self._states(),
                "broken": len(self.sweep.broken),
                "judged": [line for line in self.lines if line.verdict in JUDGED],
                "unjudged": [line for line in self.lines if line.verdict not in JUDGED],
            },
            "results": {
                "value": title(self.value),
                "chosen_by": chosen_by(self.sweep) if self.value.startswith("best_") else "",
                "ranked": is_ranked(self.value),
                "results": results.results(self.cells),
            },
            "failures": {
                "failures": failures.failures(self.sweep),
                "failed": self.failed,
                "broken": list(self.sweep.broken.itertuples(index=False, name=None)),
            },
            "configuration": {"varying": varying, "shared": shared},
            "provenance": {"origin": where_from},
        }
        return {name: _template(f"{name}.html").render(**values) for name, values in found.items()}

    @property
    def figures(self) -> str:
        """The section of the figures, which takes seconds."""
        assert self.value is not None
        numbers = [n for n in belonging(self.sweep.runs) if n.role is Role.PUBLISHED]
        return _template("figures.html").render(drawings=list(pictures.drawings(self.sweep, self.value, numbers)))

    @property
    def failed(self) -> int:
        return int(self.runs["state"].isin([state.value for state in BROKEN]).sum())

    @cached_property
    def data(self) -> dict[str, Any]:
        """What the script works with."""
        curves = packed.packed(self.sweep.epochs, list(self.runs["run"]))
        places = {kind.key: place for place, kind in enumerate(self.facets)}
        columns = self.columns
        varying, shared = configuration.varying_and_shared(self.runs)
        epochs = self.runs["diverged_epoch"] if "diverged_epoch" in self.runs else pd.Series(np.nan, self.runs.index)
        return {
            **curves,
            "runs": list(self.runs["run"]),
            "facets": [_for_script(kind) for kind in self.facets],
            "cells": number_of(self.runs).tolist(),
            "table": [column.for_script() for column in columns],
            "diverged": [None if pd.isna(epoch) else int(epoch) for epoch in epochs.tolist()],
            "choices": {name: places.get(key or "") for name, key in choices(self.runs, self.facets).items()},
            "value": self.value,
            "keys": configuration.codes(self.runs, [one.key for one in varying]),
            "shared": shared,
            "details": {},
            "live": False,
        }

    @cached_property
    def columns(self) -> list[rows.Column]:
        return rows.columns(self.runs, self.facets)

    def html(self, fragments: dict[str, str], data: dict[str, Any]) -> bytes:
        """The whole page."""
        style, script = style_and_script()
        connect = "connect-src 'self'; " if data["live"] else ""
        shown, listed = range(min(len(self.runs), rows.STATIC)), [column for column in self.columns if column.listed]
        page = _template("report.html").render(
            name=", ".join(path.resolve().name for path in self.sweep.paths),
            path=self.sweep.path,
            where=self.where,
            policy=f"default-src 'none'; {connect}style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
            "base-uri 'none'; form-action 'none'",
            style=style,
            script=script,
            fragments=fragments,
            data=data,
            facets=self.facets,
            columns=listed,
            rows=[(str(self.runs["run"].iloc[run]), [one.text(run, self.facets) for one in listed]) for run in shown],
            total=len(self.runs),
            left_out=data["left_out"],
            failed=self.failed + len(self.sweep.broken),
        )
        return page.encode("utf-8", "replace")  # a file's name need not be UTF-8

    def _states(self) -> list[tuple[str, int]]:
        return [(state, int((self.runs["state"] == state).sum())) for state in self.facets[-1].values]


@cache
def style_and_script() -> tuple[str, str]:
    """What the page looks like, and what it does."""
    style = (HERE / "report.css").read_text(encoding="utf-8") + style_sheet() + "\n"
    parts = ((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return style, '"use strict";\n{\n' + "\n".join(parts) + "}\n"


def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["typeset"] = typeset
    return environment


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
    if judged := sum(verdicts[verdict] for verdict in JUDGED[:3]):
        others = [f"{verdicts[v]} {v}" for v in (Verdict.DIFFERS, Verdict.INCONCLUSIVE) if verdicts[v]]
        said.append(
            ("Reproduced", f"{verdicts[Verdict.REPRODUCED]} of {judged}", ", ".join(["published lines", *others]))
        )
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
