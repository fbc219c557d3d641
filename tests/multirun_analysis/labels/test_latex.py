"""LaTeX: nothing of a text is a command."""

from multirun_analysis.labels.latex import latex


def test_latex_escapes_what_is_special():
    assert latex("a_b & 50% {x} \\ ^~ #$ ± –") == (
        r"a\_b \& 50\% \{x\} \textbackslash{} \textasciicircum{}\textasciitilde{} \#\$ $\pm$ --"
    )
