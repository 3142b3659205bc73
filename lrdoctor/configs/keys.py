"""Settings out of a config's tree by name, each with its origin; what could not be read is remembered."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from lrdoctor.configs.tree import Node
from lrdoctor.model.plan import Misread, Origin, Setting

_NUMBER_TEXT = re.compile(r"[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_REFERENCE = re.compile(r"\$\{([^{}]+)\}")
_LR_KEY = re.compile(r"(^|[._])(lr0?|learning_rate|max_lr|base_lr|eta_min|min_lr)$", re.IGNORECASE)
OPEN = ("???", "auto", "")
"""Values that leave the choice to somebody else."""


@dataclass(slots=True)
class Keys:
    """The settings below `prefix` of a config.

    `framework` names whose defaults are meant; `converts` says that strings which look like numbers become numbers (as
    argparse does). `path` is where the root of the tree lies in the file, for keys of a nested config.
    """

    root: Node
    framework: str
    converts: bool = False
    prefix: str = ""
    misread: list[Misread] = field(default_factory=list)

    def below(self, key: str) -> Keys:
        """The settings of a nested mapping; an empty one where there is none."""
        node = self.root.get(key)
        inner = node if node is not None and node.is_mapping else Node({}, self.root.place)
        return Keys(inner, self.framework, self.converts, f"{self.prefix}{key}.", self.misread)

    def has(self, *keys: str) -> bool:
        return any(self.root.get(key) is not None for key in keys)

    def given(self, *keys: str) -> Setting[Any] | None:
        """The first of `keys` that is there and not null, as it is."""
        for key in keys:
            node = self.root.get(key)
            if node is not None and node.value is not None:
                return Setting(node.plain_value(), self._origin(key, node))
        return None

    def number(self, *keys: str) -> Setting[float] | None:
        """The first of `keys` that holds a number."""
        for key in keys:
            node = self.root.get(key)
            if node is None or node.value is None:
                continue
            value = self._as_number(key, node)
            if value is not None:
                return Setting(value, self._origin(key, node))
        return None

    def text(self, *keys: str) -> Setting[str] | None:
        found = self.given(*keys)
        if found is not None and isinstance(found.value, str | int | float) and not isinstance(found.value, bool):
            return Setting(str(found.value), found.origin)
        return None

    def number_or(self, key: str, default: float) -> Setting[float]:
        """The number at `key`, or the framework's default."""
        return self.number(key) or self.default(key, default)

    def text_or(self, key: str, default: str) -> Setting[str]:
        return self.text(key) or self.default(key, default)

    def flag(self, *keys: str, default: bool = False) -> bool:
        found = self.given(*keys)
        if found is None:
            return default
        if isinstance(found.value, str):
            return found.value.lower() in ("true", "yes", "1", "on", "")
        return bool(found.value)

    def numbers(self, *keys: str) -> Setting[tuple[float, ...]] | None:
        """A list of numbers; a single number is a list of one."""
        for key in keys:
            node = self.root.get(key)
            if node is None or node.value is None:
                continue
            items = node.value if isinstance(node.value, list) else [node]
            values = [self._as_number(key, item) for item in items]
            known = tuple(value for value in values if value is not None)
            if len(known) == len(values):
                return Setting(known, self._origin(key, node))
        return None

    def default(self, key: str, value: Any) -> Setting[Any]:
        """The framework's own value for a key the config leaves out."""
        return Setting(value, Origin("default", f"{self.prefix}{key}", None, f"default of {self.framework}"))

    def derived(self, value: Any, source: Setting[Any] | None, note: str) -> Setting[Any]:
        """A value worked out from another one, whose place it keeps."""
        origin = source.origin if source is not None else Origin("derived")
        return Setting(value, Origin("derived", origin.key, origin.place, note))

    def _origin(self, key: str, node: Node) -> Origin:
        place = self.root.place_of(key) or node.place
        return Origin("interpolated" if node.note else "explicit", f"{self.prefix}{key}", place, node.note)

    def _as_number(self, key: str, node: Node) -> float | None:
        value = node.value
        if isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            return _finite(value)
        if isinstance(value, str) and _NUMBER_TEXT.fullmatch(value.strip()):
            if not self.converts:
                self._misread(key, node, value)
            return _finite(float(value.replace("_", "")))
        return None

    def _misread(self, key: str, node: Node, text: str) -> None:
        setting = Setting(text, self._origin(key, node))
        if any(item.setting.origin == setting.origin for item in self.misread):
            return
        quoted = node.plain is None
        why = (
            f"`{text}` stands in quotes, so it is a string"
            if quoted
            else f"`{text}` is a string and no number to PyYAML, which wants a point in numbers with an exponent"
        )
        cure = f"write {_with_point(text)}"
        about = "lr" if _LR_KEY.search(key) else "value"
        self.misread.append(Misread(setting, why, cure, about))  # type: ignore[arg-type]


def _finite(value: float) -> float | None:
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None


def _with_point(text: str) -> str:
    """The same number as YAML 1.1 reads it: with a point and a signed exponent."""
    mantissa, _, exponent = text.strip().lower().partition("e")
    if not exponent:
        return mantissa
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else f'+{exponent}'}"


def interpolated(root: Node) -> Node:
    """The tree with OmegaConf's `${a.b}` replaced by what they lead to; those that lead nowhere stay as they are."""
    return _resolve(root, root, 0)


def _resolve(node: Node, root: Node, depth: int) -> Node:
    if isinstance(node.value, dict):
        return Node({k: _resolve(v, root, depth) for k, v in node.value.items()}, node.place, None, node.key_places)
    if isinstance(node.value, list):
        return Node([_resolve(item, root, depth) for item in node.value], node.place)
    if not isinstance(node.value, str) or "${" not in node.value or depth > 8:
        return node
    whole = _REFERENCE.fullmatch(node.value.strip())
    if whole is None:
        return node
    target = root.get(whole[1].strip())
    if target is None or target is node:
        return node
    found = _resolve(target, root, depth + 1)
    return Node(found.value, node.place, found.plain, found.key_places, f"${{{whole[1]}}}")
