"""Tail: the last lines of a log, as text that nothing in it can steer."""

import re
from pathlib import Path

from taunode.runs.files import Unreadable, read_tail

LINES, BYTES = 30, 6000
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # colours and cursor movements of a terminal


def tail(path: Path) -> str:
    """The last lines of a text, without what would steer a terminal; nothing if there is no such file."""
    try:
        text = read_tail(path, BYTES).decode(errors="replace")
    except (Unreadable, OSError):
        return ""
    if len(text) == BYTES:  # its first line is not whole
        text = text.partition("\n")[2] or text
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in ESCAPES.sub("", text).rstrip().split("\n"))
    return "\n".join("".join(c if c.isprintable() or c == "\t" else "�" for c in line) for line in list(lines)[-LINES:])
