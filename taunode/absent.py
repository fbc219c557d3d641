"""Keys that came later: beside its parameter each says what its absence meant, so that old runs stay what they are.

    nesterov: Annotated[bool, Absent(False)]

A configuration that lacks the key is read as if the value stood there, and where the value stands it is left out of
the signature (`taunode.runs.signature`). The default, which is in conf/, may change and makes other runs; the marker
says what was, and never changes.

Markers are read from the source: who looks at runs does not wait for torch, and nothing that a run names is imported.
"""

import ast
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Absent:
    """What the absence of a parameter's key means; a literal."""

    value: Any


@functools.cache
def absent_values(target: str) -> Mapping[str, Any]:
    """The marked parameters of a class of this package, its own and those it inherits: name → value when absent."""
    module, _, name = target.rpartition(".")
    tree = _parsed(module)
    definition = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    if definition is None:
        return MappingProxyType({})
    for node in definition.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            own: dict[str, ast.expr | None] = {one.arg: one.annotation for one in arguments}
            handed_on = node.args.kwarg is not None
            break
    else:
        handed_on = True  # a dataclass, or without a constructor of its own
        own = {
            node.target.id: node.annotation
            for node in definition.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
    inherited: dict[str, Any] = {}
    for base in reversed(definition.bases):
        if handed_on and isinstance(base, ast.Name):
            inherited |= absent_values(_origin(base.id, module, tree))
    return MappingProxyType({key: value for key, value in inherited.items() if key not in own} | _marked(own))


@functools.cache
def _parsed(module: str) -> ast.Module:
    """The source of a module of this package; empty where there is none."""
    package, *parts = module.split(".")
    path = PACKAGE.joinpath(*parts).with_suffix(".py")
    if package != "taunode" or not parts or not all(part.isidentifier() for part in parts) or not path.is_file():
        return ast.Module([], [])
    return ast.parse(path.read_bytes())


def _origin(name: str, module: str, tree: ast.Module) -> str:
    """Where a name that a module uses is defined: there, or where it is imported from."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for imported in node.names:
                if name == (imported.asname or imported.name):
                    return f"{node.module}.{imported.name}"
    return f"{module}.{name}"


def _marked(annotations: Mapping[str, ast.expr | None]) -> dict[str, Any]:
    found = {}
    for name, annotation in annotations.items():
        match annotation:
            case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[_, *notes])):
                for note in notes:
                    match note:
                        case ast.Call(func=ast.Name(id="Absent"), args=[value]):
                            found[name] = ast.literal_eval(value)
    return found
