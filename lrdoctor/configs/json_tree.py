"""JSON with places. Python's own `json` decides what is valid; this walk finds where each value stands."""

from __future__ import annotations

import bisect
import json
import re
from dataclasses import replace
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # the scanner behind json.loads
from typing import Any

from lrdoctor.configs.tree import Node, SyntaxProblem
from lrdoctor.model.place import Place

SAMPLE = 100_000
"""Characters looked at to tell a log from a config."""
_BLANK = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null|NaN|-?Infinity")


class Lines:
    """Offsets of a text -> places."""

    def __init__(self, text: str, path: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._path = path

    def place(self, start: int, end: int) -> Place:
        (line, column), (end_line, end_column) = self._at(start), self._at(end)
        return Place(self._path, line, column, end_line, end_column)

    def _at(self, offset: int) -> tuple[int, int]:
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def is_json_lines(text: str) -> bool:
    """Whether each of the first two lines is an object by itself: a log, whatever its name ends in."""
    lines = [line for line in text[:SAMPLE].split("\n") if line.strip()][:2]
    try:
        return len(lines) == 2 and all(isinstance(json.loads(line), dict) for line in lines)
    except (JSONDecodeError, RecursionError):
        return False


def read_json(text: str, path: str) -> Node:
    """The document; SyntaxProblem where it is no JSON."""
    lines = Lines(text, path)
    try:
        json.loads(text)
        return _Walk(text, lines).value(0)[0]
    except JSONDecodeError as error:
        raise SyntaxProblem(error.msg, lines.place(error.pos, error.pos + 1)) from error
    except RecursionError as error:
        raise SyntaxProblem("the JSON is nested too deeply", Place(path)) from error


class _Walk:
    """Each method takes the offset to start at and returns what it found with the offset behind it."""

    def __init__(self, text: str, lines: Lines) -> None:
        self._text = text
        self._lines = lines

    def value(self, at: int) -> tuple[Node, int]:
        at = self._skip(at)
        first = self._text[at]
        if first == "{":
            return self._mapping(at)
        if first == "[":
            return self._list(at)
        if first == '"':
            value, end = scanstring(self._text, at + 1, True)
            return Node(value, self._lines.place(at, end)), end
        match = _SCALAR.match(self._text, at)
        assert match is not None  # json.loads has accepted the text
        return Node(json.loads(match[0]), self._lines.place(at, match.end()), match[0]), match.end()

    def _mapping(self, start: int) -> tuple[Node, int]:
        values: dict[str, Node] = {}
        places: dict[str, Place] = {}
        repeats: list[tuple[str, Node]] = []
        at = self._skip(start + 1)
        while self._text[at] != "}":
            name, end = scanstring(self._text, at + 1, True)
            if name in values:
                repeats.append((name, replace(values[name], place=places[name].to(values[name].place))))
            places[name] = self._lines.place(at, end)
            values[name], at = self.value(self._skip(end) + 1)
            at = self._skip_comma(at)
        place = self._lines.place(start, at + 1)
        return Node(values, place, key_places=places, repeats=tuple(repeats)), at + 1

    def _list(self, start: int) -> tuple[Node, int]:
        values: list[Any] = []
        at = self._skip(start + 1)
        while self._text[at] != "]":
            item, at = self.value(at)
            values.append(item)
            at = self._skip_comma(at)
        return Node(values, self._lines.place(start, at + 1)), at + 1

    def _skip(self, at: int) -> int:
        match = _BLANK.match(self._text, at)
        return match.end() if match else at

    def _skip_comma(self, at: int) -> int:
        at = self._skip(at)
        return self._skip(at + 1) if self._text[at] == "," else at
