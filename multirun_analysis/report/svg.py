"""SVG: a figure as part of a page, in the page's colours and as wide as its place.

What matplotlib writes carries its colours in `style` attributes, which the page's Content-Security-Policy forbids, and
is black on white. Here greys become classes of the style sheet, between the page's ink and its paper, so that they
follow the theme; the colours of data stay. Elements and attributes that a drawing does not need are left out.
"""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from matplotlib.figure import Figure

from multirun_analysis.figures.style import render

SPACE = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
TAGS = frozenset({"svg", "g", "defs", "path", "use", "clipPath", "rect", "pattern", "circle", "line", "polyline"})
PLACES = ("d", "x", "y", "width", "height", "transform", "id", "viewBox", "points", "cx", "cy", "r")
KEPT = frozenset({*PLACES, "x1", "x2", "y1", "y2", "clip-path", "patternUnits"})
OF_A_LINE = ("width", "dasharray", "dashoffset", "linecap", "linejoin", "miterlimit", "opacity")
STROKES = (f"stroke-{name}" for name in OF_A_LINE)
STYLES = frozenset({"fill", "fill-opacity", "stroke", "opacity", *STROKES})
STEP = 5  # percent: so fine are the greys
GREY = re.compile(r"#([0-9a-f]{2})\1\1")


def themed(figure: Figure, name: str) -> str:
    """The figure as an element `<svg>`.

    Args:
        name: of the figure, unique in the page: its parts are named after it.
    """
    root = ElementTree.fromstring(render(figure, "svg"))
    _strip(root, name)
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "class": "drawing",
        "width": f"{width:g}",
        "height": f"{height:g}",
    }
    root.attrib |= {"role": "img", "aria-hidden": "true", "xmlns": SPACE[1:-1]}
    for element in root.iter():
        element.tag = element.tag.removeprefix(SPACE)
    return ElementTree.tostring(root, encoding="unicode")


def style_sheet() -> str:
    """The greys' rules: f30 fills with 30 % paper and 70 % ink."""
    return "\n".join(_rules())


def _rules() -> Iterator[str]:
    for share in range(0, 101, STEP):
        colour = f"color-mix(in srgb, var(--paper) {share}%, var(--ink))"
        yield f".drawing .f{share} {{ fill: {colour}; }} .drawing .s{share} {{ stroke: {colour}; }}"


def _strip(parent: ElementTree.Element, name: str) -> None:
    for child in list(parent):
        if child.tag.removeprefix(SPACE) not in TAGS:
            parent.remove(child)
            continue
        child.attrib = dict(_attributes(child, name))
        _strip(child, name)


def _attributes(element: ElementTree.Element, name: str) -> Iterator[tuple[str, str]]:
    found = dict(element.attrib)
    styles = dict(_styles(found.pop("style", "")))
    styles |= {key: found.pop(key) for key in list(found) if key in STYLES}
    classes = []
    for key, value in styles.items():
        grey = GREY.fullmatch(value) if key in ("fill", "stroke") else None
        if grey:
            classes.append(f"{key[0]}{STEP * round(int(grey[1], 16) / 255 * 100 / STEP)}")
        elif key in STYLES:
            yield key, _renamed(value, name)
    if classes:
        yield "class", " ".join(sorted(classes))
    for key, value in found.items():
        if key == "id":
            yield key, f"{name}-{value}"
        elif key in (LINK, "href"):
            if value.startswith("#"):
                yield "href", f"#{name}-{value[1:]}"
        elif key in KEPT:
            yield key, _renamed(value, name)


def _renamed(value: str, name: str) -> str:
    return re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", value)


def _styles(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(";"):
        key, _, value = part.partition(":")
        if value:
            yield key.strip(), value.strip()
