"""A Python config as a tree, evaluated as a syntax tree: literals, dict(), lists, arithmetic, names. Nothing is run.

What cannot be worked out so is left out of the tree. `resolve` finds the files of a `_base_` list.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from lrdoctor.configs.tree import Node, SyntaxProblem
from lrdoctor.model.place import Place

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"int": int, "float": float, "str": str, "round": round, "abs": abs}
MAX_POWER = 64
DELETE = "_delete_"


class Unclear(Exception):
    """The expression cannot be worked out without running it."""


def read_python(text: str, path: str) -> tuple[Node, ast.Module]:
    """The module's own assignments as a tree, and its syntax tree. SyntaxProblem where it is no Python."""
    try:
        module = ast.parse(text)
    except SyntaxError as error:
        line, column = error.lineno or 1, error.offset or 1
        raise SyntaxProblem(error.msg, Place(path, line, column, line, column + 1)) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxProblem(f"the file cannot be parsed ({error})", Place(path)) from error
    return Evaluator(path).module(module, Node({}, Place(path))), module


class Evaluator:
    """Evaluates one file. `base` holds what the files of `_base_` define."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._names: dict[str, Node] = {}

    def module(self, module: ast.Module, base: Node) -> Node:
        """The names the module assigns, merged into `base` as mmengine merges configs."""
        inherited = dict(base.value)
        self._names = {**inherited, "_base_": base}
        own: dict[str, Node] = {}
        places: dict[str, Place] = {}
        for statement in module.body:
            target = _target(statement)
            if target is None or statement.value is None:  # type: ignore[attr-defined]
                continue
            name, value = target, statement.value  # type: ignore[attr-defined]
            try:
                node = self.value(value)
            except (Unclear, RecursionError):
                own.pop(name, None)
                self._names.pop(name, None)
                continue
            own[name], self._names[name] = node, node
            places[name] = self._place(statement)
        merged = merge(base, Node(own, Place(self._path), key_places=places))
        return merged

    def value(self, node: ast.expr) -> Node:
        place = self._place(node)
        match node:
            case ast.Constant(value=constant):
                return Node(constant, place)
            case ast.Dict(keys=keys, values=values):
                return self._mapping(keys, values, place)
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return Node([self._or_none(item) for item in items], place)
            case ast.Call(func=ast.Name(id="dict"), args=arguments, keywords=keywords):
                return self._dict_call(arguments, keywords, place)
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _CONVERSIONS:
                return self._converted(name, argument, place)
            case ast.Name(id=name):
                return self._named(name, place)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Node(-self._number(operand), place)
            case ast.BinOp(left=left, op=op, right=right):
                return Node(self._binary(left, op, right), place, note="computed")
            case ast.Attribute() | ast.Subscript():
                return self._inside(node)
            case ast.JoinedStr():
                return Node(self._joined(node), place)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self.value(test).value else orelse)
        raise Unclear

    def _or_none(self, node: ast.expr) -> Node:
        try:
            return self.value(node)
        except Unclear:
            return Node(None, self._place(node))

    def _mapping(self, keys: list[ast.expr | None], values: list[ast.expr], place: Place) -> Node:
        found: dict[str, Node] = {}
        places: dict[str, Place] = {}
        for key, value in zip(keys, values, strict=True):
            if key is None:  # **other
                other = self._or_none(value)
                found |= other.value if other.is_mapping else {}
                continue
            name = self._or_none(key).value
            try:
                found[str(name)], places[str(name)] = self.value(value), self._place(key)
            except Unclear:
                continue
        return Node(found, place, key_places=places)

    def _dict_call(self, arguments: list[ast.expr], keywords: list[ast.keyword], place: Place) -> Node:
        found: dict[str, Node] = {}
        places: dict[str, Place] = {}
        for argument in arguments:
            node = self._or_none(argument)
            found |= node.value if node.is_mapping else {}
        for keyword in keywords:
            try:
                node = self.value(keyword.value)
            except Unclear:
                continue
            if keyword.arg is None:
                found |= node.value if node.is_mapping else {}
            else:
                found[keyword.arg], places[keyword.arg] = node, self._place(keyword)
        return Node(found, place, key_places=places)

    def _converted(self, name: str, argument: ast.expr, place: Place) -> Node:
        try:
            return Node(_CONVERSIONS[name](self.value(argument).plain_value()), place, note="computed")
        except (TypeError, ValueError, OverflowError) as error:
            raise Unclear from error

    def _named(self, name: str, place: Place) -> Node:
        known = self._names.get(name)
        if known is None:
            raise Unclear
        return Node(known.value, place if not known.is_mapping else known.place, known.plain, known.key_places, name)

    def _number(self, node: ast.expr) -> float:
        value = self.value(node).value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unclear
        return value

    def _binary(self, left: ast.expr, op: ast.operator, right: ast.expr) -> Any:
        if isinstance(op, ast.Pow):
            base, power = self._number(left), self._number(right)
            if abs(power) > MAX_POWER or abs(base) > 1e12:
                raise Unclear
            return base**power
        apply = _OPERATORS.get(type(op))
        if apply is None:
            raise Unclear
        one, other = self.value(left).value, self.value(right).value
        lists = isinstance(one, list) and isinstance(other, list) and isinstance(op, ast.Add)
        numbers = all(isinstance(item, int | float) for item in (one, other))
        if not lists and not numbers:
            raise Unclear
        try:
            return apply(one, other)
        except (ArithmeticError, ValueError) as error:
            raise Unclear from error

    def _inside(self, node: ast.Attribute | ast.Subscript) -> Node:
        holder = self.value(node.value)
        if isinstance(node, ast.Attribute):
            key: Any = node.attr
        else:
            key = self.value(node.slice).value
        try:
            found = holder.value[str(key) if holder.is_mapping else key]
        except (KeyError, IndexError, TypeError) as error:
            raise Unclear from error
        if not isinstance(found, Node):
            raise Unclear
        return found

    def _joined(self, node: ast.JoinedStr) -> str:
        parts = []
        for part in node.values:
            value = part.value if isinstance(part, ast.FormattedValue) else part
            parts.append(str(self.value(value).value))
        return "".join(parts)

    def _place(self, node: Any) -> Place:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return Place(self._path, node.lineno, node.col_offset + 1, end_line, end_column + 1)


def _target(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return None


def merge(base: Node, own: Node) -> Node:
    """mmengine's merge: mappings key by key, anything else replaced; `_delete_=True` drops what was inherited."""
    if not (base.is_mapping and own.is_mapping) or _deletes(own):
        return own
    values = dict(base.value)
    for key, node in own.value.items():
        values[key] = merge(values[key], node) if key in values else node
    return Node(values, own.place, None, {**base.key_places, **own.key_places}, own.note)


def _deletes(node: Node) -> bool:
    marker = node.get(DELETE)
    return marker is not None and marker.value is True
