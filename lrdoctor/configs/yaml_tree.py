"""YAML with places, by PyYAML's rules (YAML 1.1), and what other loaders make of the same scalars.

Under PyYAML `1e-4` is a string, as it has no point. OmegaConf and jsonargparse take it as a number, yacs evaluates it
as a Python literal. Nothing is constructed but plain values: unknown tags are read as their text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import yaml

from lrdoctor.configs.tree import Node, SyntaxProblem
from lrdoctor.model.place import Place

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_NUMBER = re.compile(  # OmegaConf's float resolver, omegaconf/_utils.py (2.3); jsonargparse has the same
    r"^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)"
    r"|\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
MAX_NODES = 200_000
"""A file that unfolds to more values than this is no training config."""


def read_yaml(text: str, path: str) -> Node:
    """The first document of a YAML file. SyntaxProblem where PyYAML refuses it."""
    try:
        loader = _BASE(text)
        try:
            node = loader.get_node() if loader.check_node() else None
        finally:
            loader.dispose()
        return _Builder(path).node(node) if node is not None else Node(None, Place(path))
    except yaml.YAMLError as error:
        raise SyntaxProblem(*_told(error, path)) from error
    except RecursionError as error:
        raise SyntaxProblem("the YAML is nested too deeply", Place(path)) from error


def _told(error: yaml.YAMLError, path: str) -> tuple[str, Place]:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if mark is None:
        return problem, Place(path)
    return problem, Place(path, mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2)


class _Builder:
    def __init__(self, path: str) -> None:
        self._path = path
        self._done: dict[int, Node] = {}
        self._open: set[int] = set()
        self._scalars = yaml.constructor.SafeConstructor()

    def node(self, node: yaml.Node) -> Node:
        """An alias leads to the very Node of its anchor, so that a file of aliases cannot unfold."""
        mark = id(node)
        if mark in self._done:
            return self._done[mark]
        if mark in self._open or len(self._done) > MAX_NODES:
            raise SyntaxProblem("the YAML contains itself", self._place(node))
        self._open.add(mark)
        self._done[mark] = built = self._build(node)
        self._open.discard(mark)
        return built

    def _build(self, node: yaml.Node) -> Node:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.node(item) for item in node.value], self._place(node))
        if not isinstance(node, yaml.ScalarNode):
            raise SyntaxProblem("the YAML holds something that is no value", self._place(node))
        quoted = node.style in ('"', "'", "|", ">")
        return Node(self._scalar(node), self._place(node), None if quoted else node.value)

    def _mapping(self, node: yaml.MappingNode) -> Node:
        values: dict[str, Node] = {}
        places: dict[str, Place] = {}
        merged: dict[str, Node] = {}
        repeats: list[tuple[str, Node]] = []
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                merged |= self._merged(value)
                continue
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            if name in values:
                earlier = values[name]
                repeats.append((name, replace(earlier, place=places[name].to(earlier.place))))
            values[name], places[name] = self.node(value), self._place(key)
        return Node({**merged, **values}, self._place(node), key_places=places, repeats=tuple(repeats))

    def _merged(self, value: yaml.Node) -> dict[str, Node]:
        """`<<: *base`, or a list of bases of which the first wins."""
        parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
        merged: dict[str, Node] = {}
        for part in reversed(parts):
            built = self.node(part)
            merged |= built.value if built.is_mapping else {}
        return merged

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        kind = node.tag.removeprefix(_TAG)
        make = _CONSTRUCTORS.get(kind)
        if make is None:
            return node.value
        try:
            return make(self._scalars, node)
        except ValueError:  # `0x` and its kin
            return node.value

    def _place(self, node: yaml.Node) -> Place:
        start, end = node.start_mark, node.end_mark
        return Place(self._path, start.line + 1, start.column + 1, end.line + 1, end.column + 1)


_CONSTRUCTORS: dict[str, Callable[[Any, Any], Any]] = {
    "int": yaml.constructor.SafeConstructor.construct_yaml_int,
    "float": yaml.constructor.SafeConstructor.construct_yaml_float,
    "bool": yaml.constructor.SafeConstructor.construct_yaml_bool,
    "null": yaml.constructor.SafeConstructor.construct_yaml_null,
}


def as_omegaconf(node: Node) -> Node:
    """The tree as OmegaConf and jsonargparse read it: `1e-4` is a number."""
    return _reread(node, _loose_number)


def as_yacs(node: Node) -> Node:
    """The tree as yacs reads it: strings that are Python literals become their value, `(1, 2)` a tuple."""
    return _reread(node, _literal)


def _reread(node: Node, scalar: Callable[[Node], Any]) -> Node:
    if isinstance(node.value, dict):
        return replace(node, value={key: _reread(item, scalar) for key, item in node.value.items()})
    if isinstance(node.value, list):
        return replace(node, value=[_reread(item, scalar) for item in node.value])
    return replace(node, value=scalar(node)) if isinstance(node.value, str) else node


def _loose_number(node: Node) -> Any:
    if node.plain is not None and _NUMBER.match(node.plain):
        return float(node.plain.replace("_", ""))
    return node.value


def _literal(node: Node) -> Any:
    try:
        value = ast.literal_eval(node.value)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return node.value
    return [Node(item, node.place) for item in value] if isinstance(value, tuple | list) else value
