"""A config file as a tree of values that know where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lrdoctor.model.place import Place


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value and its place. `value` is a scalar, a dict of Nodes or a list of Nodes.

    `plain` is the text of an unquoted scalar, from which another loader may make another value. `key_places` says where
    the keys of a mapping stand. `note` says how the value came about where it is not written there itself. `repeats`
    are the values of keys that the same mapping sets again, each placed from its key to its end.
    """

    value: Any
    place: Place
    plain: str | None = None
    key_places: Mapping[str, Place] = field(default_factory=dict)
    note: str = ""
    repeats: tuple[tuple[str, Node], ...] = ()

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, list)

    def get(self, key: str) -> Node | None:
        """The value below `key`, whose dots lead into nested mappings."""
        found: Node | None = self
        for part in key.split("."):
            if found is None or not isinstance(found.value, dict):
                return None
            found = found.value.get(part)
        return found

    def place_of(self, key: str) -> Place | None:
        """From the start of `key` to the end of its value."""
        head, _, last = key.rpartition(".")
        parent, child = (self.get(head) if head else self), self.get(key)
        if parent is None or child is None:
            return None
        start = parent.key_places.get(last)
        return child.place if start is None or start.path != child.place.path else start.to(child.place)

    def keys(self) -> Iterator[str]:
        yield from self.value if isinstance(self.value, dict) else ()

    def has(self, *keys: str) -> bool:
        """Whether all of these keys are there."""
        return all(self.get(key) is not None for key in keys)

    def plain_value(self) -> Any:
        """The value as Python's own types, without places."""
        if isinstance(self.value, dict):
            return {key: node.plain_value() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain_value() for node in self.value]
        return self.value


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One file: its text and its tree. `kind`: "yaml", "json", "toml", "python" or "shell"."""

    path: str
    text: str
    kind: str
    root: Node


class SyntaxProblem(Exception):
    """The file cannot be parsed: what is wrong, and where."""

    def __init__(self, problem: str, place: Place) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = place
