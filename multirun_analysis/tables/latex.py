"""LaTeX: a table for a paper, a `tabular` for the package booktabs."""

from multirun_analysis.cell.layout import Pivot, Place
from multirun_analysis.labels.latex import latex
from multirun_analysis.labels.tau import tau_math
from multirun_analysis.labels.values import short
from multirun_analysis.tables.entry import Statistic, entry


def to_latex(layout: Pivot, below: str, statistic: Statistic = Statistic.SD) -> str:
    """A `tabular` for `\\usepackage{booktabs}`; the note is a comment, for the caption to say."""
    first = len(layout.row_keys)
    lines = [f"% {' '.join(below.split())}", r"% \usepackage{booktabs}"]
    lines += [rf"\begin{{tabular}}{{{'r' * first}{'c' * len(layout.columns)}}}", r"\toprule"]
    for level in range(len(layout.column_keys) - 1):
        lines += _spans(layout, level)
    last = [_math(layout.column_keys[-1], place[-1]) for place in layout.columns if place] or [""]
    lines.append(" & ".join([*(latex(short(key)) for key in layout.row_keys), *last]) + r" \\")
    lines.append(r"\midrule")
    for row in layout.rows:
        entries = (latex(entry(layout.at(row, column), statistic)) for column in layout.columns)
        names = (
            tau_math(label) if key == "tau" else latex(label) for key, label in zip(layout.row_keys, row, strict=True)
        )
        lines.append(" & ".join([*names, *entries]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _math(key: str, label: str) -> str:
    return tau_math(label) if key == "tau" else latex(f"{short(key)} {label}")


def _spans(layout: Pivot, level: int) -> list[str]:
    """A line of headings that span the columns below them, and the rules under these; none for a single heading."""
    runs: list[tuple[Place, int]] = []
    for place in layout.columns:
        upper = place[: level + 1]
        width = runs.pop()[1] if runs and runs[-1][0] == upper else 0
        runs.append((upper, width + 1))
    if len(runs) < 2:
        return []
    first = len(layout.row_keys)
    key = layout.column_keys[level]
    headings = (rf" & \multicolumn{{{width}}}{{c}}{{{_math(key, upper[-1])}}}" for upper, width in runs)
    rules, start = [], first + 1
    for _, width in runs:
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return [" & " * (first - 1) + "".join(headings) + r" \\", " ".join(rules)]
