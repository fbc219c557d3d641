"""LaTeX: plain text with nothing in it that LaTeX would take for a command."""

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "·": r"$\cdot$",
    "τ": r"$\tau$",
    "Δ": r"$\Delta$",
    "−": "$-$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "√": r"$\surd$",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def latex(text: str) -> str:
    """Plain text with LaTeX's special characters escaped; what its standard fonts lack becomes `[U+4E2D]`."""
    return "".join(SPECIAL.get(character) or _in_latin(character) for character in text)


def _in_latin(character: str) -> str:
    return character if character.isascii() or "À" <= character <= "ÿ" else f"[U+{ord(character):04X}]"
