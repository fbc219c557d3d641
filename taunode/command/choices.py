"""The values that an annotation lists (`Literal["batch", "none"]`, bool, null), read from the source.

For tab completion, which cannot wait for torch: what a configuration names is parsed, not imported.
"""

import ast
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path

Annotations = dict[str, ast.expr]  # of a constructor's arguments


def choices(target: str, name: str) -> list[str]:
    """The values that the argument `name` of a class or function can have, as they are typed; none if it lists none."""
    module, _, built = target.rpartition(".")
    try:
        annotation = _arguments(module, built).get(name)
    except (ImportError, OSError, SyntaxError, ValueError):
        return []
    return [] if annotation is None else list(dict.fromkeys(_values(annotation, module)))


def _values(annotation: ast.expr, module: str) -> Iterator[str]:
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _values(left, module)
            yield from _values(right, module)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=listed):
            for item in listed.elts if isinstance(listed, ast.Tuple) else [listed]:
                if isinstance(item, ast.Constant):
                    yield str(item.value)
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[first, *_])):
            yield from _values(first, module)
        case ast.Constant(value=None):
            yield "null"
        case ast.Name(id="bool"):
            yield from ("true", "false")
        case ast.Name(id=name):
            for node in _parsed(module).body:  # a name for a Literal in the same module
                if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
                    yield from _values(node.value, module)


@functools.cache
def _parsed(module: str) -> ast.Module:
    """
    Raises:
        ImportError: there is no such module, or it is not Python.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ImportError(module)
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _arguments(module: str, built: str) -> Annotations:
    """The annotations of a class's `__init__` or of its fields, with those of its bases; or of a function."""
    found: Annotations = {}
    for node in _parsed(module).body:
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            if any(name.name == built for name in node.names) and node.module.startswith("taunode"):
                return _arguments(node.module, built)
        elif isinstance(node, ast.FunctionDef) and node.name == built:
            return _of_function(node)
        elif isinstance(node, ast.ClassDef) and node.name == built:
            for base in node.bases:
                if isinstance(base, ast.Name):
                    found |= _arguments(module, base.id)
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                    found[item.target.id] = item.annotation
                elif isinstance(item, ast.FunctionDef) and item.name == "__init__":
                    found |= _of_function(item)
    return found


def _of_function(node: ast.FunctionDef) -> Annotations:
    arguments = [*node.args.args, *node.args.kwonlyargs]
    return {one.arg: one.annotation for one in arguments if one.annotation is not None}
