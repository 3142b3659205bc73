"""Hydra configs of torch training (`_target_`, `defaults`): a subset of its composition. Plans are in epochs.

Understood: the defaults list (groups, `_self_`, `override /group`), `# @package _global_`, `${...}`. The model groups
of lightning-hydra-template step their scheduler once per epoch (src/models/mnist_module.py, bddbc24b).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from lrdoctor.configs.context import Context
from lrdoctor.configs.keys import Keys, interpolated
from lrdoctor.configs.lightning import arguments_of, scheduled_plan
from lrdoctor.configs.python_tree import merge
from lrdoctor.configs.tree import Document, Node
from lrdoctor.configs.yaml_tree import as_omegaconf
from lrdoctor.model.plan import Plan

NAME = "hydra"
ROOTS = ("train.yaml", "config.yaml")
_GLOBAL = re.compile(r"^#\s*@package\s+_global_\s*$", re.MULTILINE)


def sniff(document: Document) -> int:
    root = document.root
    if document.kind != "yaml":
        return 0
    if root.get("optimizer._target_") is not None or root.get("model.optimizer._target_") is not None:
        return 5
    defaults = root.get("defaults")
    return 3 if defaults is not None and defaults.is_list else 0


def plan(document: Document, context: Context) -> Plan | None:
    composed, reads = _composed(document, context)
    root = interpolated(as_omegaconf(composed))
    keys = Keys(root, NAME)
    model = keys if keys.has("optimizer") else keys.below("model")
    optimizer = arguments_of(model.below("optimizer"), "_target_")
    if optimizer[0] is None and optimizer[1].number("lr") is None:
        return None
    scheduler = arguments_of(_scheduler(model), "_target_")
    made = scheduled_plan(document, NAME, keys, optimizer, scheduler, context, interval="epoch")
    if not keys.has("trainer"):  # a group file: how long the run is stands elsewhere
        made = replace(made, total=type(made.total)(), length=None)
    return replace(made, reads=tuple(reads))


def _scheduler(model: Keys) -> Keys:
    return model.below("scheduler") if model.has("scheduler") else model.below("lr_scheduler")


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of a defaults list: `group: name`; `overrides` where it replaces the choice of another list."""

    group: str
    name: str
    overrides: bool


def _entries(root: Node) -> Iterator[_Entry]:
    node = root.get("defaults")
    for item in node.value if node is not None and node.is_list else []:
        if isinstance(item.value, str) and item.value != "_self_":
            yield _Entry("", item.value, False)
        for key, value in (item.value if isinstance(item.value, dict) else {}).items():
            words = key.split()
            if isinstance(value.value, str):
                yield _Entry(words[-1].lstrip("/").split("@")[0], value.value, "override" in words[:-1])


def _composed(document: Document, context: Context) -> tuple[Node, list[str]]:
    """The config with the groups of its defaults list; an experiment on top of the root config it belongs to."""
    entries = list(_entries(document.root))
    overrides = {entry.group: entry.name for entry in entries if entry.overrides}
    reads: list[str] = []
    if _GLOBAL.search(document.text) or (overrides and not any(not one.overrides for one in entries)):
        for name in ROOTS:
            root = context.companion(document, f"../{name}")
            if root is not None and root.root.get("defaults") is not None:
                base, read = _with_groups(root, context, overrides)
                own = _relocated(document.root, entries)
                return merge(base, own), [root.path, *read, *reads]
    return _with_groups(document, context, {})


def _with_groups(document: Document, context: Context, overrides: dict[str, str]) -> tuple[Node, list[str]]:
    composed = Node({}, document.root.place)
    reads = []
    for entry in _entries(document.root):
        if entry.overrides:
            continue
        name = overrides.get(entry.group, entry.name)
        path = PurePosixPath(entry.group) / name if entry.group else PurePosixPath(name)
        other = context.companion(document, f"{path}" if path.suffix == ".yaml" else f"{path}.yaml")
        if other is None:
            continue
        reads.append(other.path)
        composed = merge(composed, _at(entry.group, other))
    return merge(composed, _relocated(document.root, [])), reads


def _at(group: str, document: Document) -> Node:
    """A group's file below the group's name, or at the top where it says `# @package _global_`."""
    node = document.root
    if not group or _GLOBAL.search(document.text):
        return node
    for part in reversed(group.split("/")):
        node = Node({part: node}, node.place)
    return node


def _relocated(root: Node, entries: list[_Entry]) -> Node:
    own = {key: node for key, node in root.value.items() if key != "defaults"}
    return replace(root, value=own)
