"""Typography of a page: τ = L^-1/2 as in a book, whatever the rest of the text is. `core.js` does the same."""

import re

from markupsafe import Markup, escape

POWER = re.compile(r"L\^(-?[0-9.]+(?:/[0-9]+)?)")


def typeset(text: object) -> Markup:
    """Escaped text in which powers of L are raised."""
    parts = POWER.split(str(text))
    found = Markup("")
    for place, part in enumerate(parts):
        found += Markup("<i>L</i><sup>{}</sup>").format(part.replace("-", "−")) if place % 2 else escape(part)
    return found
