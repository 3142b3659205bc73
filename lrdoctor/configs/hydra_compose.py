"""Hydra's composition by `defaults` lists: groups, overrides, `_self_`, packages (as hydra-core 1.3 composes)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from lrdoctor.configs.context import Context
from lrdoctor.configs.python_tree import merge
from lrdoctor.configs.tree import Document, Node

ROOTS = ("train.yaml", "config.yaml", "main.yaml")
MOST_NESTED = 12
_SELF = "_self_"
_PACKAGE = re.compile(r"^#\s*@package\s+(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of a defaults list: `group@package: name`; `overrides` where it replaces the choice of another list."""

    group: str
    name: str
    overrides: bool = False
    package: str | None = None


@dataclass(frozen=True, slots=True)
class _Here:
    """Where a config stands: its group, and the package its content goes to."""

    group: str = ""
    package: str = ""
    depth: int = 0


def composed(document: Document, context: Context) -> tuple[Node, list[str]]:
    """The config with the groups of its defaults list; an experiment on top of the root config it belongs to."""
    entries = list(_entries(document.root))
    overrides = {entry.group.lstrip("/"): entry.name for entry in entries if entry.overrides}
    if _is_global(document) or (overrides and all(one.overrides for one in entries)):
        for name in ROOTS:
            root = context.companion(document, f"../{name}")
            if root is not None and root.root.get("defaults") is not None:
                base, read = _with_groups(root, context, overrides, _Here())
                return merge(base, _own(document.root)), [root.path, *read]
    return _with_groups(document, context, {}, _Here())


def _entries(root: Node) -> Iterator[_Entry]:
    node = root.get("defaults")
    for item in node.value if node is not None and node.is_list else []:
        if isinstance(item.value, str):
            group, _, package = item.value.partition("@")
            yield _Entry("", group, package=package or None)
        for key, value in (item.value if isinstance(item.value, dict) else {}).items():
            words = key.split()
            group, _, package = words[-1].partition("@")
            for name in _names(value):
                yield _Entry(group, name, "override" in words[:-1], package or None)


def _names(value: Node) -> list[str]:
    """The choice of a group, or several; none for null."""
    items = value.value if isinstance(value.value, list) else [value]
    return [item.value for item in items if isinstance(item.value, str)]


def _with_groups(
    document: Document, context: Context, overrides: Mapping[str, str], here: _Here
) -> tuple[Node, list[str]]:
    """What the defaults list brings in its order, the config's own part where `_self_` stands, else last."""
    own, reads, parts = _placed(_own(document.root), here.package), [], []
    entries = list(_entries(document.root))
    for entry in entries:
        if entry.overrides or here.depth > MOST_NESTED:
            continue
        if (entry.group, entry.name) == ("", _SELF):
            parts.append(own)
            continue
        other, there = _loaded(document, context, entry, overrides, here)
        if other is not None:
            part, read = _with_groups(other, context, overrides, there)
            parts.append(part)
            reads += [other.path, *read]
    if not any((entry.group, entry.name) == ("", _SELF) for entry in entries):
        parts.append(own)
    whole = Node({}, document.root.place)
    for part in parts:
        whole = merge(whole, part)
    return whole, reads


def _loaded(
    document: Document, context: Context, entry: _Entry, overrides: Mapping[str, str], here: _Here
) -> tuple[Document | None, _Here]:
    """The config an entry names, and where it stands."""
    absolute, key = entry.group.startswith("/") or entry.name.startswith("/"), entry.group.strip("/")
    group = key if absolute or not here.group else f"{here.group}/{key}".rstrip("/")
    name = overrides.get(group, entry.name).lstrip("/") if key else entry.name.lstrip("/")
    up = "../" * len(here.group.split("/")) if absolute and here.group else ""
    file = f"{up}{key}/{name}" if key else f"{up}{name}"
    other = context.companion(document, file if file.endswith(".yaml") else f"{file}.yaml")
    if other is None:
        return None, here
    return other, _Here(group or here.group, _package(other, entry, here, key, group), here.depth + 1)


def _package(other: Document, entry: _Entry, here: _Here, key: str, group: str) -> str:
    """The list's word wins over the file's, and both over the group's name below the package of the list."""
    if entry.package is not None:
        named = {"_global_": "", "_here_": here.package}
        return named.get(entry.package, _joined(here.package, entry.package))
    header = _PACKAGE.search(other.text)
    if header is not None:
        return {"_global_": "", "_group_": group.replace("/", ".")}.get(header[1], header[1])
    return _joined(here.package, key.replace("/", "."))


def _joined(package: str, name: str) -> str:
    return ".".join(part for part in (package, name) if part)


def _is_global(document: Document) -> bool:
    header = _PACKAGE.search(document.text)
    return header is not None and header[1] == "_global_"


def _placed(node: Node, package: str) -> Node:
    for part in reversed(package.split(".") if package else []):
        node = Node({part: node}, node.place)
    return node


def _own(root: Node) -> Node:
    return replace(root, value={key: node for key, node in root.value.items() if key != "defaults"})
