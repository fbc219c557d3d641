"""`where`: a condition on a run's keys, such as `arch.depth >= 56 and tau.exponent in (0.5, 1)`.

The text is parsed into Python's syntax tree and interpreted from a white list; it is never evaluated as code.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from taunode.errors import BadInput, nearest

_compare: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, choices: value in choices,
    ast.NotIn: lambda value, choices: value not in choices,
    ast.Is: lambda value, other: value is other,
    ast.IsNot: lambda value, other: value is not other,
}
_binary: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_words = {"true": True, "false": False, "null": None}  # YAML's and Hydra's, beside Python's own


class UnknownKey(BadInput):
    """A run has no such key."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


class Where:
    """A parsed condition; call it with a run's flattened keys.

    Raises:
        BadInput: the text is not an expression of comparisons, `and`, `or`, `not`, `in` and arithmetic; when
            called: values that cannot be compared; UnknownKey: the run does not have it (the nearest are listed).
    """

    def __init__(self, text: str, name: str = "where") -> None:
        """`name`: what the condition is called when it is refused."""
        self.text, self._name = text, name
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
            self._check(self._tree)
        except (RecursionError, MemoryError):
            raise BadInput(f"{self._name}: {text[:40]!r}… is nested too deeply") from None
        except SyntaxError as error:
            raise BadInput(f"{self._name}: {text!r} is not an expression ({error.msg})") from None
        except ValueError as error:  # bytes of the command line that are no characters
            raise BadInput(f"{self._name}: {text!r} is not text ({error})") from None

    def _check(self, node: ast.expr) -> None:
        """Refuse at once what `_value` cannot interpret."""
        match node:
            case ast.Constant() | ast.Name():
                children: list[ast.expr] = []
            case ast.Attribute():
                _dotted(node)
                children = []
            case ast.BoolOp(values=children):
                pass
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
                children = [operand]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _binary:
                children = [left, right]
            case ast.Compare(left=left, comparators=comparators):
                children = [left, *comparators]
            case ast.List(elts=children) | ast.Tuple(elts=children) | ast.Set(elts=children):
                pass
            case _:
                raise BadInput(
                    f"{self._name}: {ast.unparse(node)!r} is not allowed; use keys, numbers, text, and, or, not, in, "
                    "comparisons and + - * /"
                )
        for child in children:
            self._check(child)

    def __call__(self, keys: Mapping[str, Any]) -> bool:
        return bool(self._value(self._tree, keys))

    def _value(self, node: ast.expr, keys: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name() | ast.Attribute():
                return self._look_up(_dotted(node), keys)
            case ast.BoolOp(op=ast.And(), values=values):
                return all(self._value(value, keys) for value in values)
            case ast.BoolOp(values=values):
                return any(self._value(value, keys) for value in values)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._value(operand, keys)
            case ast.UnaryOp(operand=operand):
                return self._arithmetic(ast.Sub(), 0, self._value(operand, keys))
            case ast.BinOp(left=left, op=op, right=right):
                return self._arithmetic(op, self._value(left, keys), self._value(right, keys))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                values = [self._value(item, keys) for item in (left, *comparators)]
                return all(self._compare(op, a, b) for op, a, b in zip(ops, values[:-1], values[1:], strict=True))
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return [self._value(element, keys) for element in elements]
            case _:
                raise AssertionError(f"_check let {type(node).__name__} pass")

    def _arithmetic(self, op: ast.operator, left: Any, right: Any) -> Any:
        if left is None or right is None:
            return None  # what is computed from a null key is null
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            raise BadInput(f"{self._name}: cannot compute with {left!r} and {right!r} in {self.text!r}")
        try:
            return _binary[type(op)](left, right)
        except ArithmeticError as error:
            raise BadInput(f"{self._name}: {error} in {self.text!r}") from None

    def _compare(self, op: ast.cmpop, left: Any, right: Any) -> bool:
        if isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) and (left is None or right is None):
            return False  # a key that is null is neither more nor less than anything
        if isinstance(op, ast.In | ast.NotIn) and right is None:
            return isinstance(op, ast.NotIn)  # and nothing is in it
        try:
            return bool(_compare[type(op)](left, right))
        except TypeError:
            raise BadInput(f"{self._name}: cannot compare {left!r} with {right!r} in {self.text!r}") from None

    def _look_up(self, key: str, keys: Mapping[str, Any]) -> Any:
        if key in keys:
            return keys[key]
        if key in _words:
            return _words[key]
        hint = "" if "." in key else " (text is written in quotes)"
        raise UnknownKey(f"{self._name}: unknown key {key!r}{hint}; nearest: {nearest(key, keys, show=6)}", key)


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_dotted(value)}.{name}"
        case _:
            raise BadInput(f"where: {ast.unparse(node)!r} is not a key")
