"""YAML as plain values: no object is ever built, aliases are shared and not copied, tags on scalars are left alone."""

from __future__ import annotations

import re
from typing import Any

import yaml

from lrdoctor.limits import limits, raised_by

_INT = re.compile(r"[-+]?\d[\d_]{0,30}")
_FLOAT = re.compile(r"[-+]?(?:\d[\d_]{0,30})?\.?\d{0,40}(?:[eE][-+]?\d{1,4})?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_NULL = frozenset({"", "~", "null"})
_PLAIN_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null")
Scalar = str | int | float | bool | None


class YamlError(ValueError):
    """The text is not YAML; the message says where."""


def parse(text: str) -> object:
    """The first document: dicts, lists and scalars. What carries a tag of Python's is read without its meaning."""
    builder = _Builder()
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.DocumentEndEvent):
                break
            builder.take(event)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise YamlError(f"{getattr(error, 'problem', None) or 'malformed'}{where}") from error
    return builder.root


class _Builder:
    """Puts events together without recursion."""

    def __init__(self) -> None:
        self.root: object = None
        self._open: list[dict[str, object] | list[object]] = []
        self._keys: list[str | None] = []
        self._anchors: dict[str, object] = {}

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.MappingStartEvent):
            self._begin({}, event.anchor)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin([], event.anchor)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
            self._remember(event.anchor, value)
            self._put(value, event.value)
        elif isinstance(event, yaml.AliasEvent):
            self._put(self._anchors.get(event.anchor or ""), event.anchor or "")

    def _begin(self, value: dict[str, object] | list[object], anchor: str | None) -> None:
        if len(self._open) >= limits().nesting:
            raise YamlError(f"nested too deeply ({raised_by('nesting')})")
        self._remember(anchor, value)
        self._put(value, "")
        self._open.append(value)
        self._keys.append(None)

    def _remember(self, anchor: str | None, value: object) -> None:
        if anchor is not None:
            self._anchors[anchor] = value

    def _put(self, value: object, text: str) -> None:
        """Into the innermost collection; in a mapping every other value is a key, known by its text."""
        if not self._open:
            self.root = value
            return
        inner = self._open[-1]
        if isinstance(inner, list):
            inner.append(value)
        elif self._keys[-1] is None:
            self._keys[-1] = text
        else:
            inner[self._keys[-1]] = value
            self._keys[-1] = None


def _scalar(event: yaml.ScalarEvent) -> Scalar:
    text = event.value
    if event.tag is not None and event.tag != "!" and event.tag not in _PLAIN_TAGS:
        return text if event.tag == "tag:yaml.org,2002:str" else None
    return resolved(text) if event.tag in _PLAIN_TAGS or event.implicit[0] else text


def resolved(text: str) -> Scalar:
    """A plain scalar by what it looks like. "1e-4" is a number here, as in the loaders that most trainers use."""
    lowered = text.lower()
    if lowered in _NULL:
        return None
    if lowered in _TRUE or lowered in _FALSE:
        return lowered in _TRUE
    if _INT.fullmatch(text):
        return int(text.replace("_", ""))
    if any(map(str.isdigit, text)) and _FLOAT.fullmatch(text):
        try:
            return float(text.replace("_", ""))
        except ValueError:
            return text
    return float(lowered.replace(".", "")) if lowered.lstrip("+-") in (".inf", ".nan") else text
