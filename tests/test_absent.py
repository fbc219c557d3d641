"""Markers of later keys, as they are read from the source: the same that importing the classes would find."""

import importlib
import inspect
import sys
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from taunode import absent, build
from taunode.absent import Absent, absent_values

BASE = """
    from dataclasses import dataclass
    from typing import Annotated
    from taunode.absent import Absent

    @dataclass
    class Base:
        lr: float
        clip: Annotated[float | None, Absent(None)]
        turned: Annotated[bool, Absent(False)] = True
"""
MEMBERS = """
    from typing import Annotated, ClassVar
    from taunode.absent import Absent
    from taunode.base import Base as Root

    class Heir(Root):
        kind: ClassVar[str] = "heir"
        scales: Annotated[list[float], "a list", Absent([1.0, -0.5])]

    class Rebel(Heir):
        turned: bool

    class Plain(Heir):
        def __init__(self, depth: int, *, width: Annotated[float, Absent(1.0)] = 2.0) -> None: ...

    class Child(Plain): ...

    class Open(Heir):
        def __init__(self, width: Annotated[float, Absent(1.0)], turned: bool, **others) -> None: ...

    def function(width: Annotated[float, Absent(1.0)]) -> None: ...
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In the place of taunode: two modules."""
    for name, text in (("base", BASE), ("members", MEMBERS)):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.setattr(absent, "PACKAGE", tmp_path)
    for cached in (absent_values, absent._parsed):
        cached.cache_clear()
    yield
    for cached in (absent_values, absent._parsed):
        cached.cache_clear()


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("target", "values"),
    [
        ("base.Base", {"clip": None, "turned": False}),
        ("members.Heir", {"clip": None, "turned": False, "scales": [1.0, -0.5]}),
        ("members.Rebel", {"clip": None, "scales": [1.0, -0.5]}),  # without its marker the key is one of the first
        ("members.Plain", {"width": 1.0}),  # its own __init__ takes nothing else
        ("members.Child", {"width": 1.0}),
        ("members.Open", {"clip": None, "scales": [1.0, -0.5], "width": 1.0}),
        ("members.function", {}),
        ("members.nobody", {}),
        ("nowhere.Base", {}),
        ("base", {}),
        ("", {}),
        ("../base.Base", {}),
    ],
)
def test_markers_are_found_where_a_class_has_or_inherits_them(target: str, values: dict[str, object]) -> None:
    assert absent_values(f"taunode.{target}") == values


def test_nothing_is_read_or_imported_outside_of_the_package() -> None:
    before = set(sys.modules)
    for target in (
        "antigravity.Base",
        "os.path.join",
        "this",
        "taunode.models/../../tests.x",
        "taunode..absent.Absent",
    ):
        assert absent_values(target) == {}
    assert set(sys.modules) == before


@pytest.mark.parametrize("target", sorted(build.allowed_targets()))
def test_the_source_says_what_the_classes_say(target: str) -> None:
    module, _, name = target.rpartition(".")
    kind = getattr(importlib.import_module(module), name)
    hints = typing.get_type_hints(inspect.getattr_static(kind, "__init__"), include_extras=True)
    marked = {
        key: note.value
        for key, hint in hints.items()
        for note in getattr(hint, "__metadata__", ())
        if isinstance(note, Absent)
    }
    assert absent_values(target) == marked
    for key, value in marked.items():  # what stands in for an absent key is built like any other value
        plain = typing.get_type_hints(inspect.getattr_static(kind, "__init__"))
        assert build.convert(value, plain[key], key) == value
