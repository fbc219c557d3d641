"""What a user is told, in one line, when a command cannot be carried out as typed."""

import difflib
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import typer

_NUMBERS = frozenset({bool, int, float, type(None)})


def plain(text: str) -> str:
    """A text from a file, to be printed: characters that steer a terminal are shown as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)


def plainly(value: Any) -> Any:
    """`plain`, of all the texts of a value of a file."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {
            key if key.isprintable() else plain(key): item
            if type(item) in _NUMBERS or (type(item) is str and item.isprintable())
            else plainly(item)
            for key, item in value.items()
        }
    return [plainly(item) for item in value] if isinstance(value, list) else value


class BadInput(Exception):  # noqa: N818 -- not a fault of the program: it ends a command with exit code 2
    """Input that cannot be right: one clear line with the value that was given and what would be valid.

    Every command ends with exit code 2 on it, and has written nothing.
    """

    def __init__(self, message: str) -> None:
        super().__init__(plain(message))


def nearest(word: str, valid: Iterable[str], show: int = 12) -> str:
    """The valid choices as text, those most like `word` first; at most `show` of them."""
    choices = sorted(set(valid))
    close = difflib.get_close_matches(word, choices, n=show, cutoff=0.4)
    ordered = close + [choice for choice in choices if choice not in close]
    more = f", … ({len(ordered) - show} more)" if len(ordered) > show else ""
    return ", ".join(ordered[:show]) + more


def run_command(app: "typer.Typer", name: str) -> NoReturn:
    """Run a command line; what a user typed wrong is one line on stderr and exit code 2, Ctrl-C is 130."""
    import typer

    usage_error: Any = typer.BadParameter.__base__  # of click, or of the click inside newer releases of typer
    try:
        sys.exit(app(prog_name=name, standalone_mode=False))
    except BadInput as error:
        message = str(error)
    except usage_error as error:
        message = plain(f"{error.format_message()} (see {name} --help)")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    print(f"{name}: {message}", file=sys.stderr)
    sys.exit(2)
