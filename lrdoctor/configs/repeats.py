"""Keys that stand twice in one mapping: the loaders keep the last one and say nothing, or stop."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lrdoctor.configs.tree import Node
from lrdoctor.model.plan import Ignored, Origin, Setting

_OURS = re.compile(
    r"(?i)(?:^|_|\b)lr(?:\d|s|f|_|\b)|learning.?rate|warmup|sched|batch|epoch|steps|iters|accum|decay|gamma|optim"
)
_WHY = {
    "json": "the key stands twice, and Python's json keeps the last one",
    "yaml": "the key stands twice: PyYAML keeps the last one, OmegaConf stops",
}


def repeated(root: Node, kind: str) -> tuple[Ignored, ...]:
    """The earlier values of keys about the schedule that are set again in the same mapping."""
    why = _WHY.get(kind)
    if why is None:
        return ()
    found = []
    for name, earlier, last in _repeats(root, ""):
        setting, instead = _setting(name, earlier), _setting(name, last)
        found.append(Ignored(setting, why, "remove one of the two", instead=instead))
    return tuple(found)


def _setting(name: str, node: Node) -> Setting[object]:
    return Setting(node.plain_value(), Origin("explicit", name, node.place))


def _repeats(node: Node, prefix: str) -> Iterator[tuple[str, Node, Node]]:
    """(full name, earlier value, last value); each part of the tree once, however many aliases lead to it."""
    pending, seen = [(node, prefix)], set()
    while pending:
        here, above = pending.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        if isinstance(here.value, dict):
            yield from ((f"{above}{key}", one, here.value[key]) for key, one in here.repeats if _OURS.search(key))
            pending += [(one, f"{above}{key}.") for key, one in here.value.items()]
        elif isinstance(here.value, list):
            pending += [(one, f"{above.removesuffix('.')}[{index}].") for index, one in enumerate(here.value)]
