"""LaTeX: a table for a paper, a `tabular` for the package booktabs."""

from collections.abc import Sequence

from multirun_analysis.cell.layout import Pivot
from multirun_analysis.labels.latex import latex
from multirun_analysis.labels.tau import tau_math
from multirun_analysis.labels.values import short
from multirun_analysis.tables.entry import Statistic, entry
from multirun_analysis.tables.headings import Heading
from multirun_analysis.tables.headings import lines as lines_of


def to_latex(layout: Pivot, below: str, statistic: Statistic = Statistic.SD) -> str:
    """A `tabular` for `\\usepackage{booktabs}`; the note is a comment, for the caption to say."""
    first = len(layout.row_keys)
    lines = [f"% {' '.join(below.split())}", r"% \usepackage{booktabs}"]
    lines += [rf"\begin{{tabular}}{{{'r' * first}{'c' * len(layout.columns)}}}", r"\toprule"]
    headings = lines_of(layout) or [[]]
    for line in headings[:-1]:
        lines += _spans(line, first)
    last = [_math(heading) for heading in headings[-1]] or [""]
    lines.append(" & ".join([*(latex(short(key)) for key in layout.row_keys), *last]) + r" \\")
    lines.append(r"\midrule")
    for row in layout.rows:
        entries = (latex(entry(layout.at(row, column), statistic)) for column in layout.columns)
        names = (
            tau_math(label) if key == "tau" else latex(label) for key, label in zip(layout.row_keys, row, strict=True)
        )
        lines.append(" & ".join([*names, *entries]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _math(heading: Heading) -> str:
    if heading.key != "tau":
        return latex(str(heading))
    label = tau_math(heading.label)
    return rf"$\tau = {label[1:]}" if label.startswith("$") else rf"$\tau$ = {label}"


def _spans(line: Sequence[Heading], first: int) -> list[str]:
    """A line of headings that span the columns below them, and the rules under these."""
    texts = (rf" & \multicolumn{{{heading.width}}}{{c}}{{{_math(heading)}}}" for heading in line)
    rules, start = [], first + 1
    for heading in line:
        rules.append(rf"\cmidrule(lr){{{start}-{start + heading.width - 1}}}")
        start += heading.width
    return [" & " * (first - 1) + "".join(texts) + r" \\", " ".join(rules)]
