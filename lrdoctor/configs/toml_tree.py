"""TOML with places: `tomllib` gives the values, the lines say where their keys stand."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from lrdoctor.configs.tree import Node, SyntaxProblem
from lrdoctor.model.place import Place

_HEADER = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]\]?")
_PAIR = re.compile(r"^\s*([A-Za-z0-9_.\-\"']+)\s*=\s*")
_ERROR = re.compile(r"^(.*) \(at line (\d+), column (\d+)\)$")


def read_toml(text: str, path: str) -> Node:
    """The document; SyntaxProblem where it is no TOML. Keys inside inline tables stand at their table's place."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SyntaxProblem(*_told(str(error), path)) from error
    except RecursionError as error:
        raise SyntaxProblem("the TOML is nested too deeply", Place(path)) from error
    return _node(values, "", _places(text, path), Place(path))


def _told(message: str, path: str) -> tuple[str, Place]:
    match = _ERROR.match(message)
    if match is None:
        return message, Place(path)
    line, column = int(match[2]), int(match[3])
    return match[1], Place(path, line, column, line, column + 1)


def _places(text: str, path: str) -> dict[str, tuple[Place, Place]]:
    """Full key -> (place of the key, place of its value)."""
    found: dict[str, tuple[Place, Place]] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            table = header[1].replace(" ", "")
            continue
        pair = _PAIR.match(line)
        if pair:
            key = pair[1].strip("\"'")
            end = len(line.split(" #")[0].rstrip())
            value = Place(path, number, pair.end() + 1, number, max(end, pair.end()) + 1)
            found[f"{table}.{key}".lstrip(".")] = Place(path, number, pair.start(1) + 1, number, pair.end(1) + 1), value
    return found


def _node(value: Any, key: str, places: dict[str, tuple[Place, Place]], parent: Place) -> Node:
    place = places[key][1] if key in places else parent
    if isinstance(value, dict):
        below = {name: _node(item, f"{key}.{name}".lstrip("."), places, place) for name, item in value.items()}
        named = {name: places[full][0] for name in value if (full := f"{key}.{name}".lstrip(".")) in places}
        return Node(below, place, key_places=named)
    if isinstance(value, list):
        return Node([_node(item, "", places, place) for item in value], place)
    return Node(value, place)
