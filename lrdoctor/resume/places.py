"""Where a checkpoint's tree keeps the optimizer and the scheduler, as the containers to change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lrdoctor.readers.optimizer_state import looks_like_optimizer
from lrdoctor.readers.plain import mapping
from lrdoctor.readers.scheduler_state import looks_like_scheduler

Path = tuple[str | int, ...]
_MAX_DEPTH = 5
_MAX_ITEMS = 1000
_OPTIMIZER_WORD = re.compile(r"optimizers?|optim", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A part and the way to it from the root: ("optimizer",) or ("lr_schedulers", 0)."""

    path: Path
    value: object

    def __str__(self) -> str:
        return path_text(self.path)


def path_text(path: Path) -> str:
    """`lr_schedulers[0]`, `state.scheduler`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def parsed_path(text: str) -> Path:
    """The path behind `state.scheduler` or `lr_schedulers[0]`."""
    found = re.findall(r"\[(\d+)\]|([^.\[\]]+)", text)
    return tuple(int(index) if index else name for index, name in found)


def optimizers_in(root: object) -> list[Place]:
    return [place for place in _walk(root, (), 0) if looks_like_optimizer(place.value)]


def schedulers_in(root: object) -> list[Place]:
    """The schedulers; the parts of a SequentialLR belong to it."""
    return [place for place in _walk(root, (), 0) if looks_like_scheduler(place.value)]


def _walk(value: object, path: Path, depth: int) -> Iterator[Place]:
    if looks_like_optimizer(value) or looks_like_scheduler(value):
        yield Place(path, value)
        return
    if depth >= _MAX_DEPTH:
        return
    if isinstance(value, list | tuple):
        for index, item in enumerate(value[:_MAX_ITEMS]):
            yield from _walk(item, (*path, index), depth + 1)
    else:
        for key, item in (mapping(value) or {}).items():
            if isinstance(key, str):
                yield from _walk(item, (*path, key), depth + 1)


def at(root: object, path: Path) -> object:
    """What lies at the path, None where nothing does."""
    for part in path:
        if isinstance(part, int):
            root = root[part] if isinstance(root, list) and part < len(root) else None
        else:
            held: Mapping[object, object] | None = mapping(root)
            root = held.get(part) if held is not None else None
    return root


def usual_place(root: object, optimizer: Place | None, framework: str | None) -> Path:
    """Where a script that files its optimizer there would file its scheduler."""
    if framework == "lightning":
        return ("lr_schedulers", 0)
    *above, name = optimizer.path if optimizer is not None and optimizer.path else ("",)
    if not isinstance(name, str):
        return ("scheduler",)
    renamed = _OPTIMIZER_WORD.sub(lambda word: "schedulers" if word[0].lower().endswith("s") else "scheduler", name)
    return (*above, renamed if renamed != name else "scheduler")
